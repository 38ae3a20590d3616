// A table with a row for each label set; Grafana's "merge" and "organize" join the results of the queries.

import { h } from "../dom.js";
import { Field } from "../field.js";

export class Table {
  constructor(panel, body) {
    this.panel = panel;
    this.host = h("div", { class: "table", tabindex: "0", role: "region", "aria-label": panel.title });
    body.replaceChildren(this.host);
    this.rows = [];
    this.columns = [];
  }

  draw(results) {
    const several = results.length > 1;
    // One query may find metrics whose labels are equal.
    const isNamed = !several && new Set(results.flatMap(({ series }) => series.map(nameOf))).size > 1;
    this.rows = merged(
      results.flatMap(({ target, series }) =>
        series.map(({ labels, value, values }) => {
          const { __name__: name, ...own } = labels;
          return {
            ...(isNamed ? { __name__: name } : {}),
            ...own,
            [several ? `Value #${target.refId}` : "Value"]: value ?? values?.findLast((each) => each !== null) ?? null,
          };
        }),
      ),
    );
    this.columns = organized(this.rows, this.panel.transformations ?? []);
    this.#fill();
    return this.rows.length ? null : new Field(this.panel).text(null);
  }

  restyle() {
    this.#fill();
  }

  summary() {
    return `${this.rows.length} rows`;
  }

  end() {
    this.host.remove();
  }

  #fill() {
    const fields = new Map(this.columns.map(({ title }) => [title, new Field(this.panel, title)]));
    const rows = this.#sorted();
    const focused = this.host.contains(document.activeElement) ? document.activeElement.dataset.column : undefined;
    this.host.replaceChildren(
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ...this.columns.map((column) => this.#heading(column)))),
        h(
          "tbody",
          {},
          ...rows.map((row) =>
            h(
              "tr",
              {},
              ...this.columns.map(({ name, title, isNumber }) => {
                const value = row[name];
                const field = fields.get(title);
                if (!isNumber) return h("td", {}, value ?? "");
                const coloured = field.steps.length > 1 || field.custom.cellOptions?.type?.startsWith("color");
                return h(
                  "td",
                  {
                    class: field.isWord(value) ? "number word" : "number",
                    style: coloured && !field.isWord(value) ? { color: field.colour(value) } : {},
                  },
                  field.text(value),
                );
              }),
            ),
          ),
        ),
      ),
    );
    if (focused) this.host.querySelector(`[data-column="${CSS.escape(focused)}"]`)?.focus();
  }

  #heading({ name, title, isNumber }) {
    const order = this.sort?.name === name ? this.sort.order : null;
    return h(
      "th",
      { scope: "col", class: isNumber ? "number" : "", "aria-sort": order ?? "none" },
      h(
        "button",
        { type: "button", "data-column": name, onclick: () => this.#sortBy(name, isNumber) },
        title,
        h("span", { "aria-hidden": "true" }, order === "ascending" ? " ↑" : order === "descending" ? " ↓" : ""),
      ),
    );
  }

  #sortBy(name, isNumber) {
    const first = isNumber ? "descending" : "ascending";
    const second = isNumber ? "ascending" : "descending";
    const order = this.sort?.name !== name ? first : this.sort.order === first ? second : null;
    this.sort = order && { name, order };
    this.#fill();
  }

  #sorted() {
    if (!this.sort) return this.rows;
    const { name, order } = this.sort;
    const sign = order === "ascending" ? 1 : -1;
    return [...this.rows].sort((one, other) => {
      const [left, right] = [one[name], other[name]];
      if (blank(left) || blank(right)) return Number(blank(left)) - Number(blank(right));
      return sign * (typeof left === "number" ? left - right : String(left).localeCompare(String(right)));
    });
  }
}

const nameOf = ({ labels }) => labels.__name__;
const blank = (value) => value === undefined || value === null || Number.isNaN(value);

/** Merge rows with the same labels. */
function merged(rows) {
  const found = new Map();
  for (const row of rows) {
    const key = JSON.stringify(
      Object.entries(row)
        .filter(([name]) => !name.startsWith("Value"))
        .sort(),
    );
    found.set(key, { ...found.get(key), ...row });
  }
  return [...found.values()];
}

/** The columns with the order and titles of the dashboard. */
function organized(rows, transformations) {
  const {
    excludeByName = {},
    indexByName = {},
    renameByName = {},
  } = transformations.find(({ id }) => id === "organize")?.options ?? {};
  const names = new Set([...Object.keys(indexByName), ...rows.flatMap((row) => Object.keys(row))]);
  return [...names]
    .filter((name) => !excludeByName[name] && name !== "Time")
    .sort((one, other) => (indexByName[one] ?? 99) - (indexByName[other] ?? 99))
    .map((name) => ({ name, title: renameByName[name] || name, isNumber: name.startsWith("Value") }));
}
