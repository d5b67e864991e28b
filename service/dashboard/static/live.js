// Bars, states, events and products of the jobs on this page, as the service reports them.

import { address, call, element, number } from "./service.js";

const OPEN = ["queued", "running", "cancelling"];
const EVENTS = ["queued", "running", "planned", "result", "warning", "reused", "cancelling", "succeeded", "failed", "cancelled"];
const MOST_STREAMS = 4; // a browser has six connections to a host

function draw(place, job) {
  const { done, total, unit, eta_s: left } = job.progress;
  const bar = place.querySelector("progress");
  if (total) Object.assign(bar, { max: total, value: done });
  else if (!OPEN.includes(job.state)) Object.assign(bar, { max: 1, value: job.state === "succeeded" ? 1 : 0 });
  const amount = total ? `${number(done)} of ${number(total)} ${unit}` : "";
  place.querySelector(".amount").textContent = left === null ? amount : `${amount}, ${number(left, 2)} s left`;
  const state = place.querySelector(".state");
  state.textContent = job.state;
  state.className = `state ${job.state}`;
  place.dataset.state = job.state;
}

function append(event) {
  const list = document.querySelector("#events");
  const entry = element("li");
  const details = Object.entries(event.data).filter(([, value]) => value !== null);
  const when = event.created_at.slice(0, 19).replace("T", " ");
  entry.append(element("time", when), " ", element("strong", event.type), " ");
  entry.append(...details.map(([name, value]) => element("span", `${name} ${typeof value === "object" ? JSON.stringify(value) : value} `)));
  list.append(entry);
}

// A page of one job is read again when the job has ended or published something; its bars move without that.
async function refresh() {
  const fresh = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
  document.querySelector("#main").replaceChildren(...fresh.querySelector("#main").childNodes);
  document.dispatchEvent(new Event("refreshed"));
}

function follow(place) {
  const id = place.dataset.job;
  const whole = "whole" in place.dataset;
  const stream = new EventSource(address(`/v1/jobs/${id}/events?progress=true`));
  const known = document.querySelectorAll("#events li").length;
  let seen = 0;
  stream.addEventListener("progress", (message) => {
    const current = document.querySelector(`[data-job="${id}"]`);
    draw(current, JSON.parse(message.data));
  });
  for (const type of EVENTS) {
    stream.addEventListener(type, async (message) => {
      seen += 1;
      if (whole && seen > known) append(JSON.parse(message.data));
      if (!["succeeded", "failed", "cancelled", "result"].includes(type)) return;
      const job = await call("GET", `/v1/jobs/${id}`);
      draw(document.querySelector(`[data-job="${id}"]`), job);
      if (!OPEN.includes(job.state)) stream.close();
      if (whole && seen > known) await refresh();
    });
  }
}

const open = [...document.querySelectorAll("[data-job]")].filter((place) => OPEN.includes(place.dataset.state));
open.slice(0, MOST_STREAMS).forEach(follow);
