// Filters and sorts the table of records. Without scripts all of it is there, the newest first.
"use strict";
const AT_ONCE = 300; // to lay out ten thousand rows takes seconds, each time
const form = document.getElementById("filter");
const body = document.querySelector("#records tbody");
const count = document.getElementById("count");
const all = document.getElementById("all");
const rows = Array.from(body.rows, (row) => ({
  row, text: row.textContent.toLowerCase(), day: row.cells[0].textContent.slice(0, 10), ...row.dataset,
}));
const choices = ["verdict", "runbook", "target", "operator", "ticket"];
const collator = new Intl.Collator("en", { numeric: true });
let limit = AT_ONCE;

function apply() {
  const wanted = Object.fromEntries(new FormData(form));
  const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
  const fitting = rows.filter((each) => choices.every((name) => !wanted[name] || each[name] === wanted[name])
    && (!wanted.from || each.day >= wanted.from) && (!wanted.to || each.day <= wanted.to)
    && words.every((word) => each.text.includes(word)));
  body.replaceChildren(...fitting.slice(0, limit).map(({ row }) => row));
  all.hidden = fitting.length <= limit;
  count.textContent = `${fitting.length} of ${rows.length} records` + (all.hidden ? "" : `, the first ${limit} shown`);
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}

function sort(header, index) {
  const up = header.getAttribute("aria-sort") !== "ascending";
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", up ? "ascending" : "descending");
  for (const each of rows) each.key = each.row.cells[index].dataset.value ?? each.row.cells[index].textContent;
  rows.sort((a, b) => collator.compare(a.key, b.key) * (up ? 1 : -1));
  apply();
}

for (const [index, header] of Array.from(document.querySelectorAll("#records th")).entries()) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = header.textContent;
  button.addEventListener("click", () => sort(header, index));
  header.replaceChildren(button);
}
document.getElementById("records").classList.add("sortable");
for (const [name, value] of new URLSearchParams(location.search)) {
  if (form.elements[name]) form.elements[name].value = value;
}
form.hidden = false;
form.addEventListener("input", apply);
form.addEventListener("submit", (event) => event.preventDefault());
all.addEventListener("click", () => {
  limit = Infinity;
  apply();
});
if (location.search || rows.length > limit) apply();
