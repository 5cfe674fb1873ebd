// Sorting tables by a column, and filtering rows by a text. The page says all without it.
"use strict";

function valueOf(cell) {
  if (!cell || cell.colSpan > 1) return "";
  const text = cell.textContent.trim();
  const number = parseFloat(text.replace(/,/g, ""));
  return cell.classList.contains("n") && !Number.isNaN(number) ? number : text.toLowerCase();
}

// What is empty comes last in both directions.
function compare(a, b, direction) {
  if (a === "" || b === "") return (a === "") - (b === "");
  return direction * compareValues(a, b);
}

function compareValues(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en");
}

function sortBy(table, place, heading) {
  const body = table.tBodies[0];
  const descends = heading.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descends ? "descending" : "ascending");
  const rows = Array.from(body.rows, (row) => [valueOf(row.cells[place]), row]);
  rows.sort((one, other) => compare(one[0], other[0], descends ? -1 : 1));
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

// Whether a row is one that a field asks for: one that holds a text; with a column, one whose cell
// there is the text, or is at least the number.
function matches(row, field) {
  if (!field.value) return true;
  if (!field.dataset.column) return row.textContent.toLowerCase().includes(field.value.toLowerCase());
  const cell = row.cells[field.dataset.column];
  const text = cell && cell.colSpan === 1 ? cell.textContent.trim() : "";
  if (field.type === "number") return parseFloat(text) >= parseFloat(field.value);
  return text === field.value;
}

function filterRows(table, fields) {
  const rows = Array.from(table.tBodies[0].rows);
  for (const row of rows) row.hidden = !fields.every((field) => matches(row, field));
  const shown = rows.filter((row) => !row.hidden).length;
  const status = document.querySelector(`[data-shown="${table.id}"]`);
  status.textContent = fields.some((field) => field.value) ? `${shown} of ${rows.length}` : "";
}

for (const filter of document.querySelectorAll(".filter")) {
  const fields = Array.from(filter.querySelectorAll("[data-filter]"));
  const table = document.getElementById(fields[0].dataset.filter);
  filter.hidden = false;
  for (const field of fields) field.addEventListener("input", () => filterRows(table, fields));
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
