// Uploads with their progress.

import { show, words } from "./service.js";

function send(form) {
  const output = form.querySelector("output");
  const bar = form.querySelector("progress");
  const request = new XMLHttpRequest();
  request.open("POST", form.dataset.action);
  request.upload.addEventListener("progress", (event) => {
    bar.value = event.lengthComputable ? event.loaded / event.total : 0;
    show(output, bar.value < 1 ? `${Math.floor(100 * bar.value)} %` : "reading it …");
  });
  request.addEventListener("load", () => {
    if (request.status < 300) location.assign(form.dataset.then);
    else fail(request.responseText);
  });
  request.addEventListener("error", () => fail(null));
  const fail = (answer) => {
    bar.hidden = true;
    show(output, answer ? words(JSON.parse(answer)) : "the connection broke; try again", true);
  };
  const fields = new FormData(form);
  for (const [name, value] of [...fields]) if (value === "") fields.delete(name);
  bar.hidden = false;
  request.send(fields);
}

for (const form of document.querySelectorAll("form.upload")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}
