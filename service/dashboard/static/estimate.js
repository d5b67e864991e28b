// What a job would take, in words.

import { call, duration, element, number, show } from "./service.js";

export async function showEstimate(output, request) {
  show(output, "…");
  const found = await call("POST", "/v1/jobs/estimate", request);
  const time = found.seconds === null ? "an unknown time" : `about ${duration(found.seconds)}`;
  const memory = number(found.memory_bytes / 2 ** 20, 3);
  const disk = number(found.written_bytes / 2 ** 20, 3);
  show(output, `${time}, ${memory} MiB of memory, ${disk} MiB on disk; ${found.fits ? "it fits" : found.reason}`, !found.fits);
  output.append(element("p", found.notes.join(" "), { className: "muted" }));
}
