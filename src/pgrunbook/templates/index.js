// Filters and sorts the table of records. Without scripts all of it is there, the newest first.
"use strict";
const form = document.getElementById("filter");
const body = document.querySelector("#records tbody");
const count = document.getElementById("count");
const rows = Array.from(body.rows, (row) => ({
  row, text: row.textContent.toLowerCase(), day: row.cells[0].textContent.slice(0, 10), ...row.dataset,
}));
const choices = ["verdict", "runbook", "target", "operator", "ticket"];

function apply() {
  const wanted = Object.fromEntries(new FormData(form));
  const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const each of rows) {
    const fits = choices.every((name) => !wanted[name] || each[name] === wanted[name])
      && (!wanted.from || each.day >= wanted.from) && (!wanted.to || each.day <= wanted.to)
      && words.every((word) => each.text.includes(word));
    each.row.hidden = !fits;
    shown += fits;
  }
  count.textContent = `${shown} of ${rows.length} records`;
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}

function sort(header, index) {
  const up = header.getAttribute("aria-sort") !== "ascending";
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = ({ row }) => row.cells[index].dataset.value ?? row.cells[index].textContent;
  rows.sort((a, b) => key(a).localeCompare(key(b), "en", { numeric: true }) * (up ? 1 : -1));
  body.append(...rows.map(({ row }) => row));
}

for (const [index, header] of Array.from(document.querySelectorAll("#records th")).entries()) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = header.textContent;
  button.addEventListener("click", () => sort(header, index));
  header.replaceChildren(button);
}
for (const [name, value] of new URLSearchParams(location.search)) {
  if (form.elements[name]) form.elements[name].value = value;
}
form.hidden = false;
form.addEventListener("input", apply);
form.addEventListener("submit", (event) => event.preventDefault());
if (location.search) apply();
