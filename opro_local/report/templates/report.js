// Sorting tables by a column, and filtering rows by a text. The page says all without it.
"use strict";

function valueOf(cell) {
  const text = cell.textContent.trim();
  const number = parseFloat(text.replace(/,/g, ""));
  return cell.classList.contains("n") && !Number.isNaN(number) ? number : text.toLowerCase();
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en");
}

function sortBy(table, place, heading) {
  const body = table.tBodies[0];
  const descends = heading.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descends ? "descending" : "ascending");
  const rows = Array.from(body.rows, (row) => [valueOf(row.cells[place]), row]);
  rows.sort((one, other) => (descends ? -1 : 1) * compare(one[0], other[0]));
  body.append(...rows.map((pair) => pair[1]));
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  Array.from(table.tHead.rows[0].cells).forEach((heading, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortBy(table, place, heading));
  });
}

for (const field of document.querySelectorAll("input[data-filter]")) {
  const table = document.getElementById(field.dataset.filter);
  const status = document.querySelector(`[data-shown="${field.dataset.filter}"]`);
  field.closest(".filter").hidden = false;
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    status.textContent = wanted ? `${shown} of ${table.tBodies[0].rows.length}` : "";
  });
}

// A printed page shows what is folded on the screen.
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details:not([open])")) {
    one.open = true;
    one.dataset.printed = "";
  }
});
addEventListener("afterprint", () => {
  for (const one of document.querySelectorAll("details[data-printed]")) {
    one.open = false;
    delete one.dataset.printed;
  }
});
