// Times, by the extender's clock.

import { el } from "./dom.js";

let ahead = 0; // the extender's clock before ours, in ms

export function setClock(time) { ahead = Date.parse(time) - Date.now(); }
export function now() { return Date.now() + ahead; }

// span is how long, in the largest unit that says enough.
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 120) return `${s}s`;
  if (s < 7200) return `${Math.floor(s / 60)}m`;
  if (s < 172800) return `${Math.floor(s / 3600)}h`;
  return `${Math.floor(s / 86400)}d`;
}

// ago is an element that says how long ago a time was, and within one until it comes.
// refresh keeps all of them right.
export function ago(time) { return stamp(time, "ago"); }
export function within(time) { return stamp(time, "within"); }

function stamp(time, sort) {
  const e = el("time", { datetime: time, "data-sort": sort, title: new Date(time).toLocaleString() });
  say(e);
  return e;
}

function say(e) {
  const left = (Date.parse(e.dateTime) - now()) / 1000;
  const text = e.dataset.sort === "ago" ? span(-left) : left > 1 ? `in about ${span(left)}` : "about now";
  if (e.textContent !== text) e.textContent = text;
}

export function refresh() { document.querySelectorAll("time[data-sort]").forEach(say); }
