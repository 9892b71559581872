// Small charts of the last hour. Each says in words what it shows, too.

import { el, svg } from "./dom.js";
import { now } from "./time.js";

const hour = 3600e3, width = 340, height = 130, left = 46, bottom = 18;

// chart draws lines: [{ name, points: [[time, value], …] }], values from 0.
export function chart(title, lines, { unit = "", most = 0, digits = 0 } = {}) {
  const say = (v) => `${v.toFixed(digits)}${unit}`;
  const end = now();
  const top = Math.max(most, ...lines.flatMap((l) => l.points.map((p) => p[1])), 10 ** -digits);
  const x = (t) => left + Math.max(0, 1 - (end - t) / hour) * (width - left - 4);
  const y = (v) => (height - bottom) - v / top * (height - bottom - 12);
  const words = lines.map((l) => l.points.length ? `${l.name} ${say(l.points[l.points.length - 1][1])} now, at most ${say(Math.max(...l.points.map((p) => p[1])))}` : `${l.name} unknown`);
  const plot = svg("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}: ${words.join("; ") || "nothing yet"}` },
    svg("line", { class: "axis", x1: left, x2: width, y1: y(0), y2: y(0) }),
    svg("line", { class: "axis", x1: left, x2: width, y1: y(top), y2: y(top) }),
    svg("text", { x: left - 4, y: y(top) + 4, "text-anchor": "end" }, say(top)),
    svg("text", { x: left - 4, y: y(0), "text-anchor": "end" }, "0"),
    svg("text", { x: left, y: height - 3 }, "an hour ago"),
    svg("text", { x: width - 2, y: height - 3, "text-anchor": "end" }, "now"));
  lines.forEach((l, i) => {
    if (l.points.length) plot.append(svg("path", { class: `s${i % 6}`, d: path(l.points, x, y) }));
  });
  const key = el("ul", { class: "key" }, ...lines.map((l, i) => el("li", {},
    svg("svg", { width: 28, height: 10, "aria-hidden": "true" }, svg("line", { class: `s${i % 6}`, x1: 0, x2: 28, y1: 5, y2: 5 })), ` ${words[i]}`)));
  return el("figure", {}, el("figcaption", {}, title), plot, key);
}

function path(points, x, y) {
  const at = points.map(([t, v]) => `${x(t).toFixed(1)} ${y(v).toFixed(1)}`);
  return at.length === 1 ? `M${at[0]}h1` : `M${at.join("L")}`;
}

// charts are those of the points.
export function charts(points) {
  const kinds = [...new Set(points.flatMap((s) => s.kinds.map((k) => k.kind)))];
  const byKind = (value) => kinds.map((kind) => ({
    name: kind,
    points: points.flatMap((s) => {
      const k = s.kinds.find((k) => k.kind === kind);
      return k ? [[Date.parse(s.time), value(k)]] : [];
    }),
  }));
  const all = (name, value, when = () => true) => ({ name, points: points.filter(when).map((s) => [Date.parse(s.time), value(s)]) });
  return [
    chart("In use", byKind((k) => k.total ? 100 * k.busy / k.total : 0), { unit: " %", most: 100 }),
    chart("Pods that wait", byKind((k) => k.waiting), { most: 1 }),
    chart("Waited before they started", [all("median", (s) => s.waitedP50, (s) => s.started), all("99th percentile", (s) => s.waitedP99, (s) => s.started)], { unit: " s", digits: 1 }),
    chart("Recreated, moved and denied, in 10 s", [all("recreated or moved", (s) => s.recreated), all("denied", (s) => s.denied)], { most: 1 }),
  ];
}
