// The dashboard's rows and panels on their grid.

import { hideTooltip } from "./chart.js";
import { h } from "./dom.js";
import { Panel } from "./panel.js";

export class Board {
  /**
   * @param model the dashboard's JSON
   * @param host the element for the rows
   * @param appeared called with each panel that becomes visible
   */
  constructor(model, host, appeared) {
    this.host = host;
    this.panels = [];
    this.rows = [];
    this.seen = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          const panel = this.panels.find(({ element }) => element === target);
          const appears = isIntersecting && !panel.visible;
          panel.visible = isIntersecting;
          if (appears) appeared(panel);
        }
      },
      { rootMargin: "160px" },
    );
    host.replaceChildren(...sections(model.panels).map((section) => this.#row(section)));
  }

  get visible() {
    return this.panels.filter(({ visible }) => visible);
  }

  /** Show one panel alone, or all again. */
  view(panel) {
    const alone = this.viewed === panel ? null : panel;
    hideTooltip();
    this.viewed = alone;
    this.host.classList.toggle("viewing", Boolean(alone));
    for (const each of this.panels) each.element.classList.toggle("viewed", each === alone);
    for (const { element } of this.rows) {
      element.classList.toggle("viewed", Boolean(alone) && element.contains(alone.element));
    }
    panel.element.scrollIntoView({ block: "nearest" });
    panel.element.focus();
  }

  /** Open the row of a panel and scroll to it. */
  reveal(id) {
    const panel = this.panels.find((each) => each.id === id);
    const row = this.rows.find(({ element }) => panel && element.contains(panel.element));
    if (!panel) return;
    if (this.viewed) this.view(this.viewed);
    row.toggle(true);
    panel.element.scrollIntoView({
      block: "start",
      behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth",
    });
    panel.element.focus({ preventScroll: true });
  }

  /** Move the focus to the next or the previous panel. */
  step(by) {
    const shown = this.panels.filter(({ element }) => element.offsetParent !== null);
    // A row that was added later may stand above others.
    shown.sort(({ element: one }, { element: other }) =>
      one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1,
    );
    const at = shown.findIndex(({ element }) => element.contains(document.activeElement));
    const next = shown[at < 0 ? (by > 0 ? 0 : shown.length - 1) : Math.min(shown.length - 1, Math.max(0, at + by))];
    next?.element.focus();
    next?.element.scrollIntoView({ block: "nearest" });
  }

  /** The panel that has the focus. */
  get focused() {
    return this.panels.find(({ element }) => element.contains(document.activeElement));
  }

  /** Open all rows; if all are open, close them. */
  toggleAll() {
    const open = this.rows.some((row) => !row.isOpen);
    for (const row of this.rows) row.toggle(open);
  }

  /** Add a row below the first one; it begins closed and empty, and its panels flow. */
  addRow(row, tools) {
    const element = this.#row({ row: { ...row, collapsed: true }, panels: [] });
    const added = this.rows.at(-1);
    added.grid.classList.add("flow");
    added.grid.before(tools);
    added.tools = tools;
    added.toggle(false);
    if (this.host.firstElementChild) this.host.firstElementChild.after(element);
    else this.host.append(element);
    return added;
  }

  /** Add a panel to a row. */
  addPanel({ grid }, model) {
    const panel = new Panel(model, this);
    this.panels.push(panel);
    grid.append(panel.element);
    this.seen.observe(panel.element);
    return panel;
  }

  #row({ row, panels }) {
    const words = panels.length > 0 && panels.every(({ type }) => type === "text");
    const grid = h("div", { class: words ? "grid words-only" : "grid", id: `row-${row?.id ?? "first"}` });
    for (const model of panels) this.addPanel({ grid }, model);
    if (!row) return h("section", { class: "row" }, grid);
    const button = h(
      "button",
      { type: "button", "aria-controls": grid.id },
      h("span", { class: "chevron", "aria-hidden": "true" }),
      row.title,
      h("span", { class: "muted count" }),
    );
    const element = h("section", { class: "row", "aria-label": row.title }, h("h2", {}, button), grid);
    const entry = {
      element,
      grid,
      isOpen: true,
      count(text) {
        button.lastElementChild.textContent = ` ${text}`;
      },
      toggle(open) {
        entry.isOpen = open;
        button.setAttribute("aria-expanded", String(open));
        grid.hidden = !open;
        if (entry.tools) entry.tools.hidden = !open;
      },
    };
    button.addEventListener("click", () => entry.toggle(!entry.isOpen));
    entry.count(`${panels.length} panels`);
    entry.toggle(!row.collapsed);
    this.rows.push(entry);
    return element;
  }
}

/** Group the panels by row; a closed row has its panels inside. Each row's grid begins at its first panel. */
function sections(panels) {
  const found = [];
  for (const panel of panels) {
    if (panel.type === "row") found.push({ row: panel, panels: [...(panel.panels ?? [])] });
    else {
      if (!found.length) found.push({ row: null, panels: [] });
      found.at(-1).panels.push(panel);
    }
  }
  for (const section of found) {
    section.panels.sort((one, other) => one.gridPos.y - other.gridPos.y || one.gridPos.x - other.gridPos.x);
  }
  return found.filter(({ row, panels: inside }) => row || inside.length);
}
