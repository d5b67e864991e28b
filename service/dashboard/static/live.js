// Bars, states, events and products of the jobs on this page, as the service reports them.

import { address, away, call, duration, element, number } from "./service.js";

const OPEN = ["cancelling", "running", "queued"];
const FINAL = ["succeeded", "failed", "cancelled"];
const EVENTS = ["queued", "running", "planned", "result", "warning", "reused", "cancelling", ...FINAL];
const GONE = [401, 403, 404]; // answers after which asking again is of no use
const MOST_STREAMS = 4; // a browser has six connections to a host
const PAUSE_MS = 3000;

function draw(job) {
  const place = document.querySelector(`[data-job="${job.id}"]`);
  const { done, total, unit, eta_s: left } = job.progress;
  const bar = place.querySelector("progress");
  if (total) Object.assign(bar, { max: total, value: done });
  else if (!OPEN.includes(job.state)) Object.assign(bar, { max: 1, value: job.state === "succeeded" ? 1 : 0 });
  const amount = total ? `${number(done)} of ${number(total)} ${unit}` : "";
  place.querySelector(".amount").textContent = left === null ? amount : `${amount}, ${duration(left)} left`;
  const state = place.querySelector(".state");
  state.textContent = job.state;
  state.className = `state ${job.state}`;
  place.dataset.state = job.state;
}

// A stream that broke tells some events again.
function append(event) {
  const list = document.querySelector("#events");
  if (list.querySelector(`[data-event="${event.id}"]`)) return;
  const entry = element("li");
  entry.dataset.event = event.id;
  const details = Object.entries(event.data).filter(([, value]) => value !== null);
  const when = event.created_at.slice(0, 19).replace("T", " ");
  entry.append(element("time", when), " ", element("strong", event.type), " ");
  entry.append(...details.map(([name, value]) => element("span", `${name} ${typeof value === "object" ? JSON.stringify(value) : value} `)));
  list.append(entry);
}

// A page of one job is read again when the job has ended or published something; its bars move without that.
async function refresh() {
  const answer = await fetch(location.href);
  if (!answer.ok) throw Object.assign(new Error(answer.statusText), { status: answer.status });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = document.querySelector("#main");
  const focused = main.contains(document.activeElement) ? document.activeElement.dataset.action : undefined;
  main.replaceChildren(...fresh.querySelector("#main").childNodes);
  if (focused) (main.querySelector(`[data-action="${focused}"]`) ?? main).focus();
}

// What the service says now; asked again while it is away. Whether the job is open.
async function read(id, whole) {
  for (;;) {
    try {
      const job = await call("GET", `/v1/jobs/${id}`);
      draw(job);
      if (whole) await refresh();
      away(false);
      return OPEN.includes(job.state);
    } catch (error) {
      const gone = GONE.includes(error.status);
      away(true, gone ? error.message : undefined);
      if (gone) return false;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

// Follow a job from an event on; resolves when it has ended. One that was tried again has ended before.
function follow(place, known) {
  const id = place.dataset.job;
  const whole = "whole" in place.dataset;
  let last = known;
  const stream = new EventSource(address(`/v1/jobs/${id}/events?progress=true&after=${known}`));
  return new Promise((resolve) => {
    const readAgain = async () => resolve((await read(id, whole)) ? follow(place, last) : undefined);
    stream.addEventListener("open", () => away(false));
    stream.addEventListener("progress", (message) => draw(JSON.parse(message.data)));
    for (const type of EVENTS) {
      stream.addEventListener(type, (message) => {
        last = message.lastEventId;
        if (whole) append(JSON.parse(message.data));
        if (FINAL.includes(type)) {
          stream.close();
          readAgain();
        } else if (whole && type === "result") read(id, whole);
      });
    }
    // The browser connects again by itself, unless the answer was an error.
    stream.addEventListener("error", () => {
      away(true);
      if (stream.readyState === EventSource.CLOSED) readAgain();
    });
  });
}

const lastEvent = document.querySelector("#events li:last-child")?.dataset.event ?? 0;
const open = [...document.querySelectorAll("[data-job]")].filter((place) => OPEN.includes(place.dataset.state));
open.sort((a, b) => OPEN.indexOf(a.dataset.state) - OPEN.indexOf(b.dataset.state));

async function followNext() {
  while (open.length) await follow(open.shift(), lastEvent);
}

for (let stream = 0; stream < MOST_STREAMS; stream += 1) followNext();
