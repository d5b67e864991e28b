// Buttons that cancel, retry or delete a thing, or estimate a job like the one that is shown.

import { showEstimate } from "./estimate.js";
import { address, call, show } from "./service.js";

const METHODS = { cancel: ["POST", "/cancel"], retry: ["POST", "/retry"], delete: ["DELETE", ""] };

async function act(button) {
  const row = button.closest("[data-href]");
  const [method, ending] = METHODS[button.dataset.action];
  if (button.dataset.confirm && !confirm(button.dataset.confirm)) return;
  button.disabled = true;
  try {
    await call(method, row.dataset.href + ending);
    if (button.dataset.action === "delete") location.assign(address("/jobs"));
    else location.reload();
  } catch (error) {
    show(row.querySelector("output"), error.message, true);
    button.disabled = false;
  }
}

// The spec is shown as JSON further down.
async function estimate(button) {
  const output = button.closest("[data-href]").querySelector("output");
  try {
    await showEstimate(output, { kind: button.dataset.estimate, spec: JSON.parse(document.querySelector("#spec").textContent) });
  } catch (error) {
    show(output, error.message, true);
  }
}

document.querySelector("#main").addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (button) act(button);
  const like = event.target.closest("button[data-estimate]");
  if (like) estimate(like);
});
