// The live page: what the extender streams, as it changes.

import { charts } from "./charts.js";
import { openDevice, openNode, openPod, telemetry } from "./detail.js";
import { el, svg, table } from "./dom.js";
import { List } from "./list.js";
import { follow } from "./stream.js";
import { ago, refresh, setClock, within } from "./time.js";

const by = (id) => document.getElementById(id);
const state = { nodes: new Map(), pods: new Map(), kinds: [], decisions: [], points: [], problems: [], notShown: "", begins: "" };
let token = "";

const headers = () => (token ? { Authorization: `Bearer ${token}` } : {});

// ask reads one page as JSON.
async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json", ...headers() } });
  const text = await answer.text();
  try {
    const said = JSON.parse(text);
    if (answer.ok) return said;
    throw new Error(said.error);
  } catch (e) {
    throw answer.ok || e instanceof SyntaxError ? new Error(`${answer.status} ${answer.statusText}: ${text}`) : e;
  }
}

const showPod = (namespace, name) => openPod(ask, state.decisions, namespace, name);
const showDevice = (node, device) => openDevice(ask, showPod, node, device);
const showNode = (node) => openNode(ask, showDevice, node);

// sort of a device's state, and the sign for it: colour says nothing that they do not.
function sort(deviceState) {
  if (deviceState === "idle") return ["idle", "○"];
  if (deviceState === "busy") return ["busy", "●"];
  if (deviceState.startsWith("shared")) return ["busy", "◐"];
  if (deviceState === "unhealthy") return ["unhealthy", "✕"];
  if (deviceState.startsWith("external")) return ["external", "▲"];
  if (deviceState.endsWith("free")) return ["idle", deviceState.startsWith("0 ") ? "●" : "○"];
  return ["unknown", "?"];
}

const named = (h) => (h.pod ? `${h.namespace}/${h.pod}` : "not shown");

function cell(node, d) {
  const [kind, glyph] = sort(d.state);
  const load = d.load === undefined ? "" : `, ${d.load} %`;
  const holders = (d.holders || []).map(named).join(", ");
  return el("button", { class: "cell", title: `${d.kind} ${d.id} ${d.model || ""}`, onclick: () => showDevice(node, d) },
    el("span", { class: "clip" }, el("span", { class: `glyph ${kind}`, "aria-hidden": "true" }, glyph), el("b", {}, d.kind), ` ${d.state}${load}`),
    el("span", { class: "clip quiet" }, holders || d.model || d.id));
}

function unmapped(node) {
  return el("button", { class: "cell", title: "pods that have a device here", onclick: () => showNode(node) },
    el("span", { class: "clip" }, el("span", { class: "glyph busy", "aria-hidden": "true" }, "●"), "which is not known yet"),
    el("span", { class: "clip quiet" }, node.unmapped.map(named).join(", ")));
}

function cpu(node) {
  const c = node.cpu, load = c.load === undefined ? "" : `, ${c.load} %`;
  return el("button", { class: "cell", title: `cores of ${node.name}`, onclick: () => showNode(node) },
    el("span", { class: "clip" }, el("span", { class: `glyph ${c.free > 0 ? "idle" : "busy"}`, "aria-hidden": "true" }, c.free > 0 ? "○" : "●"), el("b", {}, "CPU"), ` ${Math.round(c.free * 10) / 10} of ${c.cores} free${load}`),
    el("span", { class: "clip quiet" }, (c.pods || []).map(named).join(", ") || "no pod of ours"));
}

const narrow = 768;
const podKey = (p) => `${p.namespace}/${p.name}`;

const nodes = new List(by("nodes"), {
  label: "Nodes and their devices", kind: "node", key: (n) => n.name, height: (w) => (w < narrow ? 108 : 62),
  render: (n, width) => {
    const room = Math.max(1, Math.floor((width - (width < narrow ? 90 : 310)) / 200));
    const all = [...(n.devices || []).map((d) => cell(n, d)), ...(n.unmapped ? [unmapped(n)] : []), cpu(n)];
    return [
      el("div", { class: "who" },
        el("button", { class: "name clip", onclick: () => showNode(n) }, n.name),
        el("span", { class: `clip ${n.telemetry === "fresh" && !n.conflict ? "quiet" : "stale"}` }, n.cordoned ? "cordoned, " : "", n.conflict ? "conflict, " : "", "telemetry ", telemetry(n))),
      el("div", { class: "cells" }, ...all.slice(0, all.length > room ? Math.max(1, room) : room),
        all.length > room ? el("button", { class: "more", onclick: () => showNode(n) }, `and ${all.length - room} more`) : null),
    ];
  },
});

let waits = new Map(); // by key: a pod that waits, and its place in the queue for its kind

const queue = new List(by("queue"), {
  label: "Pods that wait, by kind", kind: "wait", key: ({ pod }) => podKey(pod), height: (w) => (w < narrow ? 104 : 62),
  render: ({ pod: p, place }) => [
    el("span", { class: "place", title: "place in the queue" }, `${place}.`),
    el("span", { class: "kind" }, p.kind),
    el("span", { class: "who" }, el("button", { class: "name clip", onclick: () => showPod(p.namespace, p.name) }, `${p.namespace}/${p.name}`), el("span", { class: "clip quiet" }, p.inference, ", ", p.created ? ago(p.created) : "")),
    el("span", { class: "when" }, p.starts ? el("span", {}, "starts ", within(p.starts)) : "start not foreseen"),
    el("span", { class: "why" }, el("span", { class: "two", title: p.verdict || p.reason }, p.verdict ? `unschedulable: ${p.verdict}` : p.reason)),
  ],
});

const decisions = new List(by("decisions"), {
  label: "Decisions, the newest first", kind: "said", key: (d) => d.key, height: (w) => (w < narrow ? 104 : 62),
  render: (d) => [
    el("span", { class: "when quiet" }, ago(d.time), " ago"),
    el("span", { class: `what ${d.what.split(" ")[0]}` }, d.what),
    el("span", { class: "who" }, d.pod ? el("button", { class: "name clip", onclick: () => showPod(d.namespace, d.pod) }, `${d.namespace}/${d.pod}`) : el("span", { class: "clip" }, `${d.namespace}/${d.generateName}*`),
      el("span", { class: "clip quiet" }, d.from ? `${d.from} to ${d.kind}` : d.kind || "", d.inference ? ` ${d.inference}` : "", d.owner ? `, ${d.owner}` : "")),
    el("span", { class: "why" }, el("span", { class: "two", title: d.reason }, d.reason)),
  ],
});

const percent = (part, whole) => (whole > 0 ? 100 * part / whole : 0);
const number = (n) => `${Math.round(n * 10) / 10}`;

function paintKinds() {
  by("kinds").replaceChildren(...state.kinds.map((k) => el("li", {},
    el("span", { class: "name" }, k.kind), ` ${number(k.idle)} of ${number(k.total)} ${k.kind === "CPU" ? "cores free" : "idle"}`,
    svg("svg", { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { class: "rest", width: 100, height: 10 }),
      svg("rect", { class: "busy", width: percent(k.busy, k.total), height: 10 }),
      svg("rect", { class: "idle", x: percent(k.busy, k.total), width: percent(k.idle, k.total), height: 10 })),
    el("span", { class: "quiet" }, `${number(k.busy)} in use${rest(k)}, ${k.waiting ? `${k.waiting} wait${k.waiting === 1 ? "s" : ""}` : "nobody waits"}`))));
}

function rest(k) {
  const n = k.total - k.busy - k.idle;
  return n > 0.05 ? `, ${number(n)} not usable` : "";
}

const text = new WeakMap(); // what a node is found by

function found(n, words) {
  if (!text.has(n)) {
    const of = [n.name, n.telemetry, n.cordoned ? "cordoned" : "", ...[...(n.cpu.pods || []), ...(n.unmapped || [])].map(named)];
    for (const d of n.devices || []) of.push(d.kind, d.id, d.model || "", d.state, ...(d.holders || []).map(named));
    text.set(n, of.join(" ").toLowerCase());
  }
  return words.every((w) => text.get(n).includes(w));
}

function paintNodes() {
  const words = by("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = [...state.nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const shown = words.length ? all.filter((n) => found(n, words)) : all;
  nodes.set(shown);
  by("nodes-count").textContent = words.length ? `${shown.length} of ${all.length}` : `${all.length}`;
  by("nodes-none").hidden = shown.length > 0;
  by("nodes-none").textContent = state.nodes.size ? "None is like that." : "None.";
}

function paintPods() {
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  const order = (a, b) => compare(a.kind, b.kind) || (b.priority || 0) - (a.priority || 0) || compare(a.created, b.created) || compare(podKey(a), podKey(b));
  const waiting = [...state.pods.values()].filter((p) => p.waits).sort(order);
  const before = {}, now = new Map();
  for (const pod of waiting) {
    const place = before[pod.kind] = (before[pod.kind] || 0) + 1, key = podKey(pod), was = waits.get(key);
    now.set(key, was && was.pod === pod && was.place === place ? was : { pod, place });
  }
  waits = now;
  queue.set([...waits.values()]);
  by("queue-none").hidden = waiting.length > 0;
}

function paintDecisions() {
  decisions.set([...state.decisions].reverse());
  by("decisions-none").hidden = state.decisions.length > 0;
}

function paintProblems() {
  const said = [...state.problems, ...(state.notShown ? [`Not shown: ${state.notShown}.`] : [])];
  by("problems").replaceChildren(...said.map((p) => el("p", {}, p)));
  by("problems").hidden = said.length === 0;
}

const kept = 1000, hour = 3600e3;

function paintHour() {
  by("charts").replaceChildren(...charts(state.points));
}

async function paintTimes() {
  const seconds = (s) => (s === undefined ? "–" : `${s} s`);
  try {
    const { profiles } = await ask("../profiles");
    by("times").replaceChildren(table("Hinted by the profile, and learned from runs", ["Inference", "Kind", "Hint", "Learned", "Runs", "In use"],
      profiles.flatMap((p) => p.variants.map((v) => [p.inference, v.kind, seconds(v.hintSeconds), seconds(v.learnedSeconds), `${v.runs}`, `${seconds(v.usedSeconds)}, ${v.usedFrom}`]))));
  } catch (e) {
    by("times").replaceChildren(el("p", { class: "quiet" }, e.message));
  }
}

function apply(map, changes, key) {
  for (const row of changes.set || []) map.set(key(row), row);
  for (const gone of changes.delete || []) map.delete(gone);
}

// take takes one message of the stream.
function take(m) {
  setClock(m.time);
  if (m.begins) {
    state.nodes.clear();
    state.pods.clear();
    Object.assign(state, { kinds: [], decisions: [], points: [], begins: m.begins });
    by("hour-since").replaceChildren("Kept in memory by the extender, which started ", ago(m.since), " ago.");
    paintTimes();
  }
  if (m.nodes) apply(state.nodes, m.nodes, (n) => n.name);
  if (m.pods) apply(state.pods, m.pods, podKey);
  if (m.nodes || m.begins) paintNodes();
  if (m.pods || m.begins) paintPods();
  if (m.kinds || m.begins) {
    state.kinds = m.kinds || [];
    paintKinds();
  }
  if (m.decisions || m.begins) {
    for (const d of m.decisions || []) state.decisions.push({ ...d, key: `${state.begins} ${d.seq}` });
    state.decisions.splice(0, state.decisions.length - kept);
    paintDecisions();
  }
  if (m.points || m.begins) {
    state.points.push(...(m.points || []));
    state.points = state.points.filter((s) => Date.parse(m.time) - Date.parse(s.time) < hour);
    paintHour();
  }
  if (m.problems || m.begins || m.notShown !== undefined) {
    if (m.problems) state.problems = m.problems;
    if (m.notShown !== undefined || m.begins) state.notShown = m.notShown || "";
    paintProblems();
  }
}

function connection(live, said) {
  by("connection").className = live ? "live" : "";
  if (by("connection-text").textContent !== said) by("connection-text").textContent = said;
}

const stream = follow({
  path: "../live/stream", headers, take, connection,
  unauthorized: () => {
    by("token-form").hidden = false;
    by("token").focus();
  },
});

by("token-form").addEventListener("submit", (e) => {
  e.preventDefault();
  token = by("token").value.trim();
  by("token").value = "";
  by("token-form").hidden = true;
  stream.again();
});
by("find").addEventListener("input", paintNodes);
setInterval(refresh, 1000);
setInterval(paintTimes, 60e3);
