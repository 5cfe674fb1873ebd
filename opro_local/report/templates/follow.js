// A served page asks for its version, and loads again when there is more to show.
const follow = document.querySelector(".follow");
const kept = `opro-local ${location.pathname}`;

// What was unfolded, typed and sorted stays as it was.
function keepPlace() {
  const open = Array.from(document.querySelectorAll("details"), (one) => one.open);
  const fields = Array.from(document.querySelectorAll("[data-filter]"), (one) => one.value);
  sessionStorage.setItem(kept, JSON.stringify({ open, fields, sorted: sortedBy() }));
}

function sortedBy() {
  return Array.from(document.querySelectorAll("table[data-sortable]"), (table) => {
    const headings = Array.from(table.tHead.rows[0].cells);
    const place = headings.findIndex((one) => one.hasAttribute("aria-sort"));
    return place < 0 ? null : [place, headings[place].getAttribute("aria-sort")];
  });
}

function findPlace() {
  const place = JSON.parse(sessionStorage.getItem(kept) || "null");
  sessionStorage.removeItem(kept);
  if (!place) return;
  document.querySelectorAll("details").forEach((one, number) => {
    if (number in place.open) one.open = place.open[number];
  });
  document.querySelectorAll("table[data-sortable]").forEach((table, number) => {
    const [column, direction] = place.sorted[number] || [];
    const button = table.tHead.rows[0].cells[column]?.querySelector("button");
    button?.click();
    if (button && direction === "descending") button.click();
  });
  document.querySelectorAll("[data-filter]").forEach((one, number) => {
    one.value = place.fields[number] || "";
    if (one.value) one.dispatchEvent(new Event("input"));
  });
}

async function look() {
  const box = follow.querySelector("input");
  const status = follow.querySelector("[role=status]");
  try {
    const answer = await fetch(follow.dataset.at, { cache: "no-store" });
    const { version } = await answer.json();
    status.textContent = "";
    if (version !== follow.dataset.version) {
      if (box.checked) {
        keepPlace();
        location.reload();
        return;
      }
      status.textContent = "there is more to show";
    }
  } catch {
    status.textContent = "the server does not answer";
  }
  setTimeout(look, 2000);
}

findPlace();
if (follow) {
  follow.hidden = false;
  setTimeout(look, 2000);
}
