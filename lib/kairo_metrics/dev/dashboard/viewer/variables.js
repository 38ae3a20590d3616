// The dashboard's variables as selects.

import { h } from "./dom.js";
import { labelValues } from "./prometheus.js";
import { interpolate, literal } from "./template.js";

const ALL = "$__all";

export class Variables {
  /**
   * @param models the variables of the dashboard's JSON
   * @param form the element for the selects
   * @param chosen values from the page's address: name -> value
   * @param changed called when the reader has chosen another value
   */
  constructor(models, form, chosen, changed) {
    this.entries = models
      .filter(({ type }) => ["query", "custom"].includes(type))
      .map((model) => {
        const select = h("select", {
          id: `var-${model.name}`,
          name: model.name,
          onchange: () => {
            entry.value = select.value;
            changed();
          },
        });
        const entry = { model, select, options: [], value: chosen[model.name] ?? (model.includeAll ? ALL : "") };
        if (model.hide !== 2) {
          form.append(
            h("label", { title: model.description ?? null }, h("span", {}, model.label || model.name), select),
          );
        }
        return entry;
      });
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  /** Query the possible values; a variable may depend on those before it. */
  async load() {
    const values = {};
    for (const entry of this.entries) {
      const options = await choices(entry.model, values);
      if (JSON.stringify(options) !== JSON.stringify(entry.options) || !entry.select.options.length) {
        fill(entry, options);
      }
      values[entry.model.name] = text(entry);
    }
  }

  /** The value of each variable in a query. */
  get values() {
    return Object.fromEntries(this.entries.map((entry) => [entry.model.name, text(entry)]));
  }

  /** The chosen values that are not the default, for the page's address. */
  get chosen() {
    return Object.fromEntries(
      this.entries
        .filter(({ value, model }) => value && (value !== ALL || !model.includeAll))
        .map(({ model, value }) => [model.name, value]),
    );
  }

  focus() {
    this.entries[0]?.select.focus();
  }
}

async function choices(model, values) {
  if (model.type === "custom") {
    return String(model.query ?? "")
      .split(",")
      .map((each) => each.trim())
      .filter(Boolean);
  }
  const query = typeof model.query === "string" ? model.query : (model.query?.query ?? "");
  const parts = /^label_values\(\s*(?:([^]+),\s*)?(\w+)\s*\)$/.exec(query.trim());
  if (!parts) return [];
  const found = await labelValues(parts[2], parts[1] && interpolate(parts[1], values));
  return found.filter(Boolean);
}

function fill(entry, options) {
  const { model, select } = entry;
  entry.options = options;
  // A value from the page's address stays chosen even if it does not exist yet.
  const gone = entry.value && entry.value !== ALL && !options.includes(entry.value) ? [entry.value] : [];
  select.replaceChildren(
    ...(model.includeAll ? [h("option", { value: ALL }, "All")] : []),
    ...[...options, ...gone].map((value) => h("option", { value }, value)),
  );
  if (!entry.value) entry.value = options[0] ?? "";
  select.value = entry.value;
}

function text({ model, value, options }) {
  if (value !== ALL) return literal(value);
  return model.allValue || options.map(literal).join("|") || ".*";
}
