// What is shown of one pod, device or node when somebody asks.

import { ago, span } from "./time.js";
import { el, table, terms } from "./dom.js";

const dialog = document.getElementById("detail"), title = document.getElementById("detail-title"), body = document.getElementById("detail-body");
let asked = 0;

// open shows what find returns, once it has it, unless something else was opened since.
async function open(name, find) {
  const turn = ++asked;
  title.textContent = name;
  body.replaceChildren(el("p", { class: "quiet" }, "…"));
  if (!dialog.open) dialog.showModal();
  let found;
  try {
    found = await find();
  } catch (e) {
    found = [el("p", {}, e.message)];
  }
  if (turn === asked) body.replaceChildren(...found);
}

const part = encodeURIComponent;

export function openPod(ask, decisions, namespace, name) {
  open(`Pod ${namespace}/${name}`, async () => {
    const said = decisions.filter((d) => d.namespace === namespace && d.pod === name);
    let p;
    try {
      p = await ask(`../pods/${part(namespace)}/${part(name)}`);
    } catch (e) {
      return [el("p", {}, e.message), ...past(said)];
    }
    const waits = p.waiting;
    return [
      terms([
        ["Inference", p.inference], ["Kind", p.kind], ["Node", p.node || (waits ? "none yet" : "")], ["Phase", p.phase], ["Age", p.created ? ago(p.created) : ""],
        ["Why this kind", p.reason], ["kube-scheduler", p.verdict], ["Extender", p.askedMessage],
        ["It would run if", waits && wants(waits)],
        ["In a terminal", el("code", {}, `kubectl heteroaccel explain -n ${namespace} ${name}`)],
      ]),
      ...(waits && waits.nodes && waits.nodes.length ? [table("Nodes with this kind", ["Node", "State", "Because"], waits.nodes.slice(0, 100).map((n) => [n.node, n.state, n.message]))] : []),
      ...(p.filter && p.filter.nodes.length ? [table("Rejected by the extender", ["Node", "Because"], p.filter.nodes.map((n) => [n.node, n.message]))] : []),
      ...past(said),
    ];
  });
}

// wants says what would have a pod run.
function wants(w) {
  const needs = [...Object.entries(w.needs.devices).map(([r, n]) => `${n} ${r}`), w.needs.cores ? `${w.needs.cores} cores` : ""].filter(Boolean).join(" and ");
  if (w.gated) return "its scheduling gates were removed";
  if (w.deleted) return "it were not being deleted";
  if (w.eligibleNodes === 0) return `a node that it may run on had ${needs}`;
  if (w.fitsNow > 0) return "kube-scheduler bound it: by our count it fits now";
  const node = w.eligibleNodes === 1 ? "the one node that it may run on" : `one of the ${w.eligibleNodes} nodes that it may run on`;
  return `${node} had ${needs} free` + (w.queued > 1 ? `; ${w.queued} pods, itself among them, wait for that` : "");
}

function past(said) {
  return said.length ? [table("Decisions", ["When", "What", "Reason"], said.map((d) => [ago(d.time), d.what, d.reason]))] : [];
}

export function openDevice(ask, openPodOf, node, device) {
  open(`${device.kind} ${device.id} of ${node.name}`, async () => {
    const found = [terms([
      ["State", device.state], ["Because", device.reason], ["Model", device.model], ["Load", device.load === undefined ? "" : `about ${device.load} %`],
      ["Telemetry", telemetry(node)],
      ["Held by", device.holders && device.holders.length ? el("span", {}, ...device.holders.flatMap((h) => [holder(h, openPodOf), " "])) : "nobody"],
    ])];
    const past = await ask(`../nodes/${part(node.name)}/devices/${part(device.id)}`);
    found.push(past.tenures.length
      ? table("Who had it in the last hour", ["Pod", "For", "Until"], past.tenures.map((t) => [holder(t, openPodOf), span(((t.to ? Date.parse(t.to) : Date.now()) - Date.parse(t.from)) / 1000), t.to ? el("span", {}, ago(t.to), " ago") : "now"]))
      : el("p", { class: "quiet" }, "Nobody had it in the last hour, or since the extender started."));
    return found;
  });
}

function holder(h, openPodOf) {
  return h.pod ? el("button", { onclick: () => openPodOf(h.namespace, h.pod) }, `${h.namespace}/${h.pod}`) : "a pod that you may not list";
}

export function openNode(ask, openDeviceOf, node) {
  open(`Node ${node.name}`, async () => {
    const n = await ask(`../nodes/${part(node.name)}`);
    return [
      terms([
        ["Telemetry", telemetry(node)], ["Conflict", n.conflict], ["Cordoned", n.cordoned ? "yes" : ""], ["Taints", n.taints.join(", ")],
        ["Cores", `${n.cpu.allocatableCores}, ${n.cpu.freeCores} free`], ["On the CPU", n.cpu.pods.join(", ")],
      ]),
      table("Devices", ["Device", "State", "Held by"], (node.devices || []).map((d) => [
        el("button", { onclick: () => openDeviceOf(node, d) }, `${d.kind} ${d.id}`), d.state, (d.holders || []).map((h) => h.pod ? `${h.namespace}/${h.pod}` : "not shown").join(", ") || "nobody"])),
    ];
  });
}

export function telemetry(node) {
  if (node.telemetry === "stale") return el("span", {}, "stale, ", ago(node.telemetryTime));
  return node.telemetry;
}

