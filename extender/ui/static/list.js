// A list of any length, of which only the rows that are to be seen are in the document.

import { el } from "./dom.js";

export class List {
  // height is that of a row in px, as the width of the list wants it; render returns the
  // children of a row, and key what tells it from others.
  constructor(element, { label, kind, height, key, render }) {
    Object.assign(this, { element, kind, height, key, render });
    this.items = [];
    this.rows = new Map(); // by key: { element, item, width }
    this.spacer = el("div", { class: "spacer", role: "list", "aria-label": label });
    this.element.setAttribute("tabindex", "0");
    this.element.setAttribute("role", "region");
    this.element.setAttribute("aria-label", label);
    this.element.addEventListener("scroll", () => this.soon());
    new ResizeObserver(() => this.soon()).observe(this.element);
  }

  set(items) {
    this.items = items;
    this.soon();
  }

  // soon paints once, however often it is asked before.
  soon() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => { this.asked = false; this.paint(); });
  }

  paint() {
    if (this.items.length === 0) {
      this.rows.clear();
      this.spacer.replaceChildren();
      this.element.replaceChildren();
      return;
    }
    if (!this.spacer.isConnected) this.element.append(this.spacer);
    const width = this.element.clientWidth, height = this.height(width);
    this.spacer.style.height = `${this.items.length * height}px`;
    const first = Math.max(0, Math.floor(this.element.scrollTop / height) - 5);
    const last = Math.min(this.items.length, Math.ceil((this.element.scrollTop + this.element.clientHeight) / height) + 5);
    const shown = new Map();
    for (let i = first; i < last; i++) shown.set(this.key(this.items[i]), i);
    for (const [key, row] of this.rows) {
      if (!shown.has(key)) { row.element.remove(); this.rows.delete(key); }
    }
    let before = null;
    for (const [key, i] of shown) {
      let row = this.rows.get(key);
      if (!row) {
        row = { element: el("div", { class: `row ${this.kind}`, role: "listitem" }) };
        this.rows.set(key, row);
      }
      if (row.item !== this.items[i] || row.width !== width) this.fill(row, this.items[i], width);
      row.element.style.transform = `translateY(${i * height}px)`;
      row.element.style.height = `${height}px`;
      row.element.setAttribute("aria-setsize", this.items.length);
      row.element.setAttribute("aria-posinset", i + 1);
      // The order in the document is that of the rows: the keyboard and screen readers go by it.
      const at = before ? before.nextSibling : this.spacer.firstChild;
      if (at !== row.element) this.spacer.insertBefore(row.element, at);
      before = row.element;
    }
  }

  // fill renders a row, and keeps the focus on what had it.
  fill(row, item, width) {
    const focused = row.element.contains(document.activeElement) ? [...row.element.querySelectorAll("button")].indexOf(document.activeElement) : -1;
    row.element.replaceChildren(...this.render(item, width));
    row.item = item;
    row.width = width;
    if (focused >= 0) (row.element.querySelectorAll("button")[focused] || this.element).focus();
  }
}
