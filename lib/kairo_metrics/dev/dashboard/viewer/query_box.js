// The row "Query": a field for PromQL that completes what is written, and the result as a graph or a table.

import { Candidates } from "./candidates.js";
import { completed, fitting, placeAt } from "./completion.js";
import { h } from "./dom.js";

// Beside those of "Your metrics", and above those of the dashboard.
const FIRST_ID = 90_000;
const MOST_SHOWN = 12;
const HINT = "Enter runs the query, Shift+Enter begins a line. ↓ and Tab take a completion, Ctrl+Space shows them.";

export class QueryBox {
  /**
   * @param board takes the row and its panels
   * @param page `first` is the query to begin with, `values` returns the variables' values, `run` asks for a
   *   panel's numbers, `changed` is called when the query is another one
   */
  constructor(board, page) {
    this.page = page;
    this.text = "";
    this.candidates = new Candidates();
    this.offered = [];
    this.list = h("ul", { id: "completions", class: "completions", role: "listbox", "aria-label": "Completions" });
    this.field = this.#field();
    this.told = h("p", { class: "muted", role: "status" }, HINT);
    this.kinds = h("div", { class: "segments", role: "group", "aria-label": "Show the result as" });
    const run = h("button", { type: "button", class: "run", onclick: () => this.#run() }, "Run");
    this.row = board.addRow(
      { id: "query", title: "Query" },
      h("div", { class: "query" }, h("div", { class: "field" }, this.field, this.list), run, this.kinds, this.told),
    );
    this.panels = [graph(FIRST_ID), table(FIRST_ID + 1)].map((model) => board.addPanel(this.row, model));
    this.kinds.append(...this.panels.map((panel) => this.#kind(panel)));
    this.row.grid.addEventListener("state", (event) => this.#tell(event));
    this.row.count("in PromQL");
    this.row.toggle(true);
    this.#close();
    this.shown = this.panels[0];
    this.#set(page.first);
  }

  /** Whether a reload would take something from the reader. */
  get isBeingWritten() {
    return document.activeElement === this.field || this.field.value.trim() !== this.text;
  }

  focus() {
    this.row.toggle(true);
    this.field.scrollIntoView({ block: "center" });
    this.field.focus();
  }

  #field() {
    return h("textarea", {
      id: "query",
      rows: 1,
      maxlength: 20_000,
      placeholder: "sum by (route) (rate(http_requests_total[$__rate_interval]))",
      "aria-label": "Query in PromQL",
      "aria-autocomplete": "list",
      "aria-controls": "completions",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      oninput: () => this.#complete(),
      onkeydown: (event) => this.#key(event),
      onblur: () => this.#close(),
      onpointerdown: () => this.#close(),
    });
  }

  #kind(panel) {
    const { title, type } = panel.model;
    return h("button", { type: "button", "data-kind": type, onclick: () => this.#show(panel) }, title);
  }

  #key(event) {
    const isOpen = !this.list.hidden;
    const chosen = this.offered[this.at];
    if (event.key === "Enter" && !event.shiftKey) {
      if (isOpen && chosen) this.#take(chosen);
      else this.#run();
    } else if (event.key === "Tab" && isOpen && !event.shiftKey) this.#take(chosen ?? this.offered[0]);
    else if (event.key === "Escape" && isOpen) this.#close();
    else if (event.key === "ArrowDown" && isOpen) this.#move(1);
    else if (event.key === "ArrowUp" && isOpen) this.#move(-1);
    else if (event.key === " " && event.ctrlKey) this.#complete(true);
    else {
      // The list is for the place where the cursor was.
      if (/^(Arrow|Home|End|Page)/.test(event.key)) this.#close();
      return;
    }
    event.preventDefault();
  }

  /** Offer what can be written at the cursor; a word only once it was begun, or if it is asked for. */
  async #complete(asked = false) {
    const { value, selectionStart: cursor } = this.field;
    const place = placeAt(value, cursor);
    const turn = (this.turn = Symbol("turn"));
    if (!place || (place.kind === "word" && !place.typed && !asked)) return this.#close();
    try {
      const found = fitting(place, await this.candidates.at(place, value, this.page.values()));
      if (this.turn === turn) this.#offer(place, found);
    } catch (error) {
      if (this.turn === turn) this.#say(error.message, "bad");
    }
    return undefined;
  }

  #offer(place, found) {
    if (!found.length) return this.#close();
    this.place = place;
    this.offered = found.slice(0, MOST_SHOWN);
    this.list.replaceChildren(
      ...this.offered.map((one, at) =>
        h(
          "li",
          {
            id: `completion-${at}`,
            role: "option",
            onpointerdown: (event) => {
              event.preventDefault(); // the field keeps the focus
              this.#take(one);
            },
          },
          h("span", {}, one.text),
          one.about ? h("span", { class: "muted" }, one.about) : null,
        ),
      ),
    );
    this.list.hidden = false;
    this.#mark(-1);
    this.#say(
      found.length > MOST_SHOWN ? `${MOST_SHOWN} of ${found.length}: write on` : `${found.length} to choose from`,
    );
    return undefined;
  }

  #move(by) {
    const count = this.offered.length;
    this.#mark(this.at < 0 && by < 0 ? count - 1 : (this.at + by + count) % count);
  }

  #mark(at) {
    this.at = at;
    [...this.list.children].forEach((option, number) => option.setAttribute("aria-selected", String(number === at)));
    if (at < 0) this.field.removeAttribute("aria-activedescendant");
    else this.field.setAttribute("aria-activedescendant", `completion-${at}`);
  }

  #take(candidate) {
    const { text, cursor } = completed(this.field.value, this.place, candidate);
    this.field.value = text;
    this.field.setSelectionRange(cursor, cursor);
    this.#close();
    // After the name of a label its values follow.
    if (this.place.kind === "label") this.#complete();
  }

  #close() {
    this.turn = null;
    this.offered = [];
    this.list.hidden = true;
    this.#mark(-1);
    if (this.told.className === "muted") this.told.textContent = this.result ?? HINT;
  }

  #run() {
    this.#set(this.field.value);
    this.page.changed();
    if (this.text) this.page.run(this.shown);
  }

  #set(query) {
    this.field.value = query;
    this.text = query.trim();
    for (const { model } of this.panels) model.targets[0].expr = this.text;
    this.result = null;
    this.#close();
    this.#say(this.text ? "Asking…" : HINT);
    this.#arrange();
  }

  #show(panel) {
    this.shown = panel;
    this.#arrange();
    if (this.text) this.page.run(panel);
  }

  #arrange() {
    const panel = this.shown;
    for (const each of this.panels) each.element.hidden = !this.text || each !== panel;
    for (const button of this.kinds.children) {
      button.setAttribute("aria-pressed", String(button.dataset.kind === panel.model.type));
    }
  }

  /** Say how the query went; a query with a fault has no graph. */
  #tell({ target, detail: { text, count } }) {
    if (target !== this.shown.element) return;
    const failed = target.dataset.state === "error";
    target.hidden = failed;
    this.result = failed ? null : text || (count === 1 ? "1 series" : `${count} series`);
    if (failed) this.#say(text, "bad");
    else if (this.list.hidden) this.#say(this.result);
  }

  #say(text, kind = "muted") {
    this.told.className = kind;
    if (this.told.textContent !== text) this.told.textContent = text;
  }
}

function graph(id) {
  return modelOf(id, "timeseries", "Graph", {
    options: { legend: { displayMode: "table", calcs: ["lastNotNull", "max"] } },
  });
}

function table(id) {
  const organize = { id: "organize", options: { renameByName: { __name__: "metric" } } };
  return modelOf(id, "table", "Table", { transformations: [organize] }, { instant: true });
}

function modelOf(id, type, title, more, target = {}) {
  const defaults = { unit: "short", noValue: "No series has samples in this time.", custom: {} };
  return {
    id,
    type,
    title,
    gridPos: { x: 0, y: 0, w: 24, h: 10 },
    targets: [{ refId: "A", expr: "", legendFormat: "__auto", ...target }],
    fieldConfig: { defaults, overrides: [] },
    ...more,
  };
}
