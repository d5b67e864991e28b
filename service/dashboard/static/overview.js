// The form that starts a job: its preset, with fields replaced.

import { showEstimate } from "./estimate.js";
import { address, call, show } from "./service.js";

const form = document.querySelector("#start");
const output = document.querySelector("#answer");
const preset = form.elements.preset;

function chosen() {
  return preset.selectedOptions[0];
}

function showSpec() {
  const spec = JSON.parse(chosen().dataset.spec);
  document.querySelector("#preset-spec").textContent = JSON.stringify(spec, null, 2);
  for (const name of ["model", "corpus"]) form.elements[name].placeholder = spec[name] ?? "as the preset says";
}

function request() {
  const overrides = form.elements.overrides.value.trim();
  const spec = { preset: preset.value, ...(overrides ? JSON.parse(overrides) : {}) };
  for (const name of ["model", "corpus"]) {
    const value = form.elements[name].value.trim();
    if (value) spec[name] = value;
  }
  return { kind: chosen().dataset.kind, spec };
}

async function attempt(action) {
  try {
    await action();
  } catch (error) {
    show(output, error instanceof SyntaxError ? `the spec is not JSON: ${error.message}` : error.message, true);
  }
}

preset.addEventListener("change", showSpec);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    show(output, "…");
    const job = await call("POST", "/v1/jobs", request());
    location.assign(address(`/jobs/${job.id}`));
  });
});
document.querySelector("#estimate").addEventListener("click", () => attempt(() => showEstimate(output, request())));
showSpec();
