// A panel's field settings: unit, texts for values, thresholds, and overrides by name.

import { css } from "./dom.js";
import { format } from "./units.js";

const NAMED = {
  green: "--good",
  "dark-green": "--good",
  "semi-dark-green": "--good",
  yellow: "--warn",
  orange: "--warn",
  "dark-orange": "--warn",
  red: "--bad",
  "dark-red": "--bad",
  "semi-dark-red": "--bad",
  blue: "--accent",
  purple: "--s4",
  text: "--muted",
  transparent: "--muted",
};

/** The colour in the page's theme for a colour in the dashboard's JSON. */
export const colour = (name) => (NAMED[name] ? css(NAMED[name]) : name);

/** The nth shade of a colour, #rrggbb: each is closer to the colour of texts, which is far from the background's. */
export function shade(base, number) {
  const share = Math.min(0.66, 0.22 * number);
  const parts = [base, css("--text")].map((each) =>
    each.match(/[0-9a-f]{2}/gi)?.map((part) => Number.parseInt(part, 16)),
  );
  if (!parts[0] || !share) return base;
  const mixed = parts[0].map((part, at) => Math.round(part + (parts[1][at] - part) * share));
  return `#${mixed.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

/** The nth colour of the palette. */
export const paletteColour = (number) => css(`--s${number % 10}`);

/** The settings of one field of a panel; overrides by name or by query replace the defaults. */
export class Field {
  constructor(panel, name = "", refId = "") {
    const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
    this.settings = { ...defaults, custom: { ...defaults.custom } };
    for (const { matcher, properties } of overrides) {
      if (matches(matcher, name, refId)) for (const { id, value } of properties) this.#set(id, value);
    }
  }

  get custom() {
    return this.settings.custom;
  }

  /** The value as text: from a mapping, else the number with its unit. */
  text(value) {
    const mapped = this.#mapped(value);
    if (mapped?.text) return mapped.text;
    if (missing(value)) return this.settings.noValue || "–";
    return format(value, this.settings.unit, this.settings.decimals);
  }

  /** Whether the text comes from a mapping and is no number. */
  isWord(value) {
    return missing(value) || Boolean(this.#mapped(value)?.text);
  }

  /** The colour of a value: from a mapping, else of the highest threshold at or below it. */
  colour(value) {
    const mapped = this.#mapped(value);
    if (mapped?.color) return colour(mapped.color);
    if (missing(value)) return css("--muted");
    let name = "green";
    for (const step of this.steps) if (step.value === null || value >= step.value) name = step.color;
    return colour(name);
  }

  /** The thresholds in ascending order; percentages are relative to min and max. */
  get steps() {
    const { mode, steps = [] } = this.settings.thresholds ?? {};
    const { min = 0, max = 100 } = this.settings;
    const absolute = (value) =>
      value === null || value === undefined ? null : mode === "percentage" ? min + ((max - min) * value) / 100 : value;
    return steps.map((step) => ({ color: step.color, value: absolute(step.value) }));
  }

  #set(id, value) {
    if (id.startsWith("custom.")) this.settings.custom[id.slice(7)] = value;
    else if (id === "color" && ["fixed", "shades"].includes(value.mode)) this.settings.fixedColour = value.fixedColor;
    else this.settings[id] = value;
  }

  #mapped(value) {
    for (const mapping of this.settings.mappings ?? []) {
      const { options } = mapping;
      if (mapping.type === "value" && options[String(value)]) return options[String(value)];
      if (mapping.type === "special" && special(options.match, value)) return options.result;
      if (
        mapping.type === "range" &&
        !missing(value) &&
        value >= (options.from ?? -Infinity) &&
        value <= (options.to ?? Infinity)
      ) {
        return options.result;
      }
    }
    return undefined;
  }
}

const missing = (value) => value === null || value === undefined || Number.isNaN(value);

function special(match, value) {
  const nothing = value === null || value === undefined;
  if (match === "null") return nothing;
  if (match === "nan") return Number.isNaN(value);
  return match === "null+nan" && (nothing || Number.isNaN(value));
}

function matches({ id, options }, name, refId) {
  if (id === "byName") return options === name;
  if (id === "byFrameRefID") return options === refId;
  if (id !== "byRegexp") return false;
  const [, pattern, flags] = /^\/(.*)\/(\w*)$/.exec(options) ?? [null, options, ""];
  return new RegExp(pattern, flags).test(name);
}
