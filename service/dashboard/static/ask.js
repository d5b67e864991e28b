// A sentence, and the rows nearest to it.

import { call, element, number, show } from "./service.js";

const form = document.querySelector("#ask");
const answer = document.querySelector("#answer");

function describe(result) {
  const percentile = result.percentile === null ? "" : `; ${number(result.percentile, 3)} % of the set's own rows are as near to theirs`;
  return `Nearest memory at ${number(result.nn_distance)}${percentile}. g ${number(result.g)}, E ${number(result.energy)}, ${number(result.tokens)} tokens.`;
}

function draw(found) {
  const result = found.results[0];
  const list = element("ol", undefined, { className: "pairs" });
  for (const near of result.neighbors) {
    const entry = element("li");
    const quote = element("blockquote", near.text ?? near.label ?? "–");
    const where = near.document === null ? (near.id ?? "") : `${near.document}, character ${number(near.offset)},`;
    quote.append(element("footer", `${where} row ${number(near.row)}`, { className: "muted" }));
    entry.append(element("strong", number(near.distance)), quote);
    list.append(entry);
  }
  answer.replaceChildren(element("p", describe(result)), list, ...found.notes.map((note) => element("p", note, { className: "muted" })));
}

async function ask() {
  const set = form.elements.set.value;
  const text = form.elements.text.value;
  history.replaceState(null, "", `?${new URLSearchParams({ set, text })}`);
  show(answer, "…");
  try {
    draw(await call("POST", `/v1/activations/${set}/query`, { texts: [text], k: 10 }));
  } catch (error) {
    show(answer, error.message, true);
  }
}

if (form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  if (form.elements.text.value) ask();
}
