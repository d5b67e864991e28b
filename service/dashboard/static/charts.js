// Charts of the page's JSON, drawn by Plotly in the page's colours; drawn anew while a run goes on.

import { away, call } from "./service.js";

const COLOURS = { light: ["#0072b2", "#d55e00", "#007a5a", "#a3487d", "#1b1f24", "#7d4e00", "#6e40c9", "#b3261e"], dark: ["#56b4e9", "#e69f00", "#2bc596", "#e59ac4", "#e6edf3", "#f0e442", "#b392f0", "#ff8f85"] };
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "12px,3px", "2px,5px"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "cross"];
const REFRESH_MS = 3000;
const LEGEND_PX = 21;
const narrow = matchMedia("(max-width: 40rem)");
const dark = matchMedia("(prefers-color-scheme: dark)");

// Steps are drawn from one edge to the next, so the last height is given twice; an outline goes over the middles of bins.
function trace(series, index, palette) {
  const area = series.style === "area";
  const steps = area || series.style.endsWith("steps");
  const points = series.style === "points";
  const colour = palette[index % palette.length];
  const made = {
    type: "scatter",
    name: series.name,
    x: series.style === "outline" ? series.y.map((_, i) => (series.x[i] + series.x[i + 1]) / 2) : series.x,
    y: steps ? [...series.y, series.y.at(-1)] : series.y,
    mode: points ? "lines+markers" : "lines",
    line: { color: colour, width: series.style === "thin_steps" ? 1 : 2, dash: area ? "solid" : DASHES[index % DASHES.length], shape: steps ? "hv" : "linear" },
    fill: area ? "tozeroy" : "none",
    fillcolor: `${colour}30`,
    marker: { color: colour, size: 8, symbol: SYMBOLS[index % SYMBOLS.length] },
  };
  if (series.intervals) {
    const of = (end, sign) => series.intervals.map((interval, i) => (interval === null || series.y[i] === null ? 0 : sign * (interval[end] - series.y[i])));
    made.error_y = { type: "data", symmetric: false, array: of(1, 1), arrayminus: of(0, -1), color: colour };
  }
  return made;
}

function layout(chart, legendHeight) {
  const style = getComputedStyle(document.documentElement);
  const [text, line] = ["--text", "--grid"].map((name) => style.getPropertyValue(name).trim());
  const axis = (title, log) => ({ title: { text: title, standoff: 8, font: { size: 14 } }, type: log ? "log" : undefined, color: text, gridcolor: line, zeroline: false, automargin: true });
  return {
    xaxis: axis(chart.x_title, chart.log_x),
    yaxis: axis(chart.y_title, chart.log_y),
    font: { color: text, size: 13 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { t: 10, r: 10, b: 40, l: 50 },
    legend: { orientation: "h", x: 0, y: 1, yref: "container", yanchor: "top", maxheight: legendHeight ? legendHeight + LEGEND_PX : undefined },
    shapes: chart.marks.map((mark) => ({ type: "line", xref: "x", yref: "paper", x0: mark.x, x1: mark.x, y0: 0, y1: 1, line: { color: text, width: 1, dash: "dot" } })),
    annotations: chart.marks.map((mark, i) => ({ x: chart.log_x ? Math.log10(mark.x) : mark.x, y: 1, yref: "paper", yanchor: "top", xshift: 4, yshift: -18 * i, text: mark.name, showarrow: false, xanchor: "left" })),
  };
}

function draw(figure, chart) {
  const plot = figure.querySelector(".plot");
  const below = narrow.matches && chart.series.length > 2 ? LEGEND_PX * chart.series.length : 0; // one name a line
  plot.style.height = below ? `calc(18rem + ${below}px)` : "";
  const palette = COLOURS[dark.matches ? "dark" : "light"];
  const traces = chart.series.map((series, index) => trace(series, index, palette));
  Plotly.react(plot, traces, layout(chart, below), { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] });
}

async function refresh(figure) {
  try {
    const answer = await call("GET", figure.dataset.refresh);
    away(false);
    figure.chart = answer.chart;
    draw(figure, figure.chart);
    if (!answer.open) return location.reload();
  } catch {
    away(true);
  }
  setTimeout(refresh, REFRESH_MS, figure);
}

const figures = [...document.querySelectorAll("figure.chart")];
for (const figure of figures) {
  figure.chart = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  draw(figure, figure.chart);
  if (figure.dataset.refresh) setTimeout(refresh, REFRESH_MS, figure);
}
dark.addEventListener("change", () => figures.forEach((figure) => draw(figure, figure.chart)));
