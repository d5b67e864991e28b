// Calls of the REST routes, and the words of their problems.

const root = document.documentElement.dataset.root;

export const address = (path) => root + path;

export async function call(method, path, body) {
  const options = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path.startsWith("/v1") ? address(path) : path, options);
  const answer = response.status === 204 ? null : await response.json();
  if (!response.ok) throw Object.assign(new Error(words(answer)), { status: response.status });
  return answer;
}

// A problem in words; each error of a field names the field.
export function words(problem) {
  const fields = (problem.errors ?? []).map((error) => `${error.field}: ${error.message}`);
  return fields.length ? fields.join("; ") : (problem.detail ?? "the service gave no reason");
}

// Says at the top of the page that the service is away, until it is back.
export function away(is, text = "The service does not answer; this page goes on as soon as it does.") {
  const hint = document.querySelector("#away");
  if (hint.textContent !== (is ? text : "")) hint.textContent = is ? text : "";
}

export function show(output, text, failed = false) {
  output.replaceChildren();
  const line = document.createElement("p");
  if (failed) line.setAttribute("role", "alert");
  line.textContent = text;
  output.append(line);
}

export function element(name, text, properties = {}) {
  const made = Object.assign(document.createElement(name), properties);
  if (text !== undefined) made.textContent = text;
  return made;
}

export function number(value, digits = 5) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(digits)));
}

// A length of time in its two largest units.
export function duration(seconds) {
  if (seconds < 60) return `${number(seconds, 2)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${number(Math.floor(whole / 3600))} h ${Math.floor((whole % 3600) / 60)} min`;
}
