// Buttons that cancel, retry or delete.

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

document.querySelector("#main").addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (button) act(button);
});
