// What a query can be completed with: names and values that the source has, asked for once in a few seconds.

import { LENGTHS, WORDS } from "./completion.js";
import { QueryError, labelNames, labelValues, metadata } from "./prometheus.js";
import { interpolate } from "./template.js";

const KEPT_MS = 10_000;
const MOST_METRICS = 4;

export class Candidates {
  constructor() {
    this.kept = new Map();
  }

  /** All candidates of a place's kind, each {name, about}; `values` has the variables of a query. */
  async at({ kind, label, selector: written = "" }, query, values) {
    const selector = interpolate(written, values);
    if (kind === "length") return named(LENGTHS);
    if (kind === "value") return named(await this.#of(selector, (one) => labelValues(label, one), `value ${label}`));
    if (kind === "label") return named(await this.#labels(selector));
    if (kind === "grouping") return named(await this.#grouping(query));
    const words = Object.entries(WORDS).flatMap(([about, names]) => named(names, about));
    return [
      ...(await this.#metrics()),
      ...words,
      ...named(
        Object.keys(values).map((name) => `$${name}`),
        "variable",
      ),
    ];
  }

  async #metrics() {
    const [names, known] = await Promise.all([this.#names(), this.#once("metadata", metadata)]);
    return names.map((name) => {
      const base = [name, name.replace(/_(bucket|count|sum|total)$/, "")].find((each) => Object.hasOwn(known, each));
      const [{ type, help } = {}] = base ? known[base] : [];
      return { name, about: type ? `${type} · ${help}` : "" };
    });
  }

  /** The labels of the metrics in the query; of all, as long as there is none. */
  async #grouping(query) {
    const names = new Set(await this.#names());
    const used = [...new Set(query.match(/[a-zA-Z_:][\w:]*/g))].filter((name) => names.has(name));
    const found = await Promise.all((used.length ? used.slice(0, MOST_METRICS) : [""]).map((one) => this.#labels(one)));
    return [...new Set(found.flat())].filter((name) => name !== "__name__");
  }

  #names() {
    return this.#once("names", () => labelValues("__name__"));
  }

  #labels(selector) {
    return this.#of(selector, labelNames, "labels");
  }

  /** Ask for a selector; one that can't be asked for, such as with matchers that match everything, narrows nothing. */
  async #of(selector, ask, key) {
    try {
      return await this.#once(`${key} ${selector}`, () => ask(selector));
    } catch (error) {
      if (error instanceof QueryError && selector) return this.#once(`${key} `, () => ask(""));
      throw error;
    }
  }

  #once(key, ask) {
    const now = performance.now();
    for (const [old, { until }] of this.kept) if (until < now) this.kept.delete(old);
    if (!this.kept.has(key)) {
      const answer = ask();
      this.kept.set(key, { until: now + KEPT_MS, answer });
      answer.catch(() => this.kept.delete(key));
    }
    return this.kept.get(key).answer;
  }
}

const named = (names, about = "") => names.map((name) => ({ name, about }));
