// The row "Your metrics": what the dashboard does not show, with a search over it.

import { h } from "./dom.js";
import { isMachinery, notShown, panelsOf } from "./families.js";

// Panels of the dashboard have smaller ids.
const FIRST_ID = 100_000;
const TITLE = "Your metrics";

export class OwnMetrics {
  /**
   * @param board takes the row and its panels
   * @param model the dashboard's JSON
   */
  constructor(board, model) {
    this.board = board;
    this.model = model;
    this.entries = new Map();
    this.id = FIRST_ID;
    this.search = h("input", {
      type: "search",
      placeholder: "Search by name or help text",
      "aria-label": "Search your metrics",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.#filter(),
    });
    this.none = h("p", { class: "muted", role: "status" });
    this.row = board.addRow({ id: "own", title: TITLE }, h("div", { class: "search" }, this.search, this.none));
  }

  /** Add panels for metrics that are new on the page. */
  update(metadata) {
    const families = notShown(metadata, this.model);
    const added = families.filter(({ name }) => !this.entries.has(name));
    for (const family of added) {
      const panels = panelsOf(family, () => this.id++).map((model) => this.board.addPanel(this.row, model));
      this.entries.set(family.name, { family, panels });
    }
    if (added.length) {
      // In the order of the families: the program's own first.
      for (const { name } of families) this.row.grid.append(...this.entries.get(name).panels.map((one) => one.element));
      this.row.count(this.entries.size === 1 ? "1 metric" : `${this.entries.size} metrics`);
      if (added.some((family) => !isMachinery(family))) this.row.toggle(true);
    }
    this.#filter();
  }

  /** Say why there are no metrics. */
  tell(reason) {
    this.none.textContent = reason;
  }

  focus() {
    this.row.toggle(true);
    this.search.scrollIntoView({ block: "center" });
    this.search.focus();
  }

  #filter() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const { family, panels } of this.entries.values()) {
      const text = `${family.name} ${family.help ?? ""} ${family.type}`.toLowerCase();
      const matches = words.every((word) => text.includes(word));
      found += matches;
      for (const { element } of panels) element.hidden = !matches;
    }
    this.none.textContent = this.entries.size
      ? found
        ? ""
        : "No metric has these words."
      : 'All metrics on the page are in other rows. Declare one, such as Counter("orders_total", …), and it appears here.';
  }
}
