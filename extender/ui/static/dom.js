// Elements of the document. Whatever comes from the cluster is text and never markup.

export function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  set(e, attributes);
  e.append(...children.filter((c) => c !== null && c !== undefined).map((c) => (typeof c === "string" ? c.replace(/\p{Cc}/gu, " ") : c)));
  return e;
}

export function svg(name, attributes = {}, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  set(e, attributes);
  e.append(...children);
  return e;
}

function set(e, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") e.addEventListener("click", value);
    else if (value !== undefined && value !== null && value !== false) e.setAttribute(name, value === true ? "" : value);
  }
}

// table has a head and rows of texts or elements.
export function table(caption, head, rows) {
  return el("table", {},
    el("caption", { class: "quiet" }, caption),
    el("thead", {}, el("tr", {}, ...head.map((h) => el("th", { scope: "col" }, h)))),
    el("tbody", {}, ...rows.map((r) => el("tr", {}, ...r.map((c) => el("td", {}, c))))));
}

// list of terms and what they are.
export function terms(pairs) {
  return el("dl", {}, ...pairs.filter(([, v]) => v !== undefined && v !== null && v !== "").flatMap(([t, v]) => [el("dt", {}, t), el("dd", {}, v)]));
}
