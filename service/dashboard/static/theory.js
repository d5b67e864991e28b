// The calculator: each form asks one closed form and shows its answer; the address keeps the numbers.

import { call, element, number, show } from "./service.js";

// Nested values as rows: their path in words, and the number.
function* rows(value, path = []) {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    for (const [name, inner] of Object.entries(value)) yield* rows(inner, [...path, name.replaceAll("_", " ")]);
  } else if (Array.isArray(value) && value.some((item) => item !== null && typeof item === "object")) {
    for (const [index, item] of value.entries()) yield* rows(item, [...path, String(index + 1)]);
  } else {
    yield [path.join(", "), Array.isArray(value) ? value.map((item) => number(item)).join(", ") : number(value, 8)];
  }
}

function draw(output, answer) {
  const { notes, ...values } = answer;
  const table = element("table");
  for (const [name, value] of rows(values)) {
    const row = element("tr");
    row.append(element("th", name, { scope: "row" }), element("td", value));
    table.append(row);
  }
  const scroll = element("div", undefined, { className: "scroll", tabIndex: 0 });
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "Answer");
  scroll.append(table);
  output.replaceChildren(scroll, ...notes.map((note) => element("p", note)));
}

async function compute(form) {
  const given = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
  history.replaceState(null, "", `?${given}#${form.id}`);
  const output = form.querySelector("output");
  show(output, "…");
  try {
    draw(output, await call("GET", `${form.dataset.path}?${given}`));
  } catch (error) {
    show(output, error.message, true);
  }
}

for (const form of document.querySelectorAll("form.calculator")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    compute(form);
  });
}

const linked = location.hash && document.querySelector(`form${location.hash}`);
if (linked) {
  for (const [name, value] of new URLSearchParams(location.search)) if (linked.elements[name]) linked.elements[name].value = value;
  compute(linked);
}
