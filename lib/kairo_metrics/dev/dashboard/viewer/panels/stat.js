// A large number, with its graph behind it.

import { h } from "../dom.js";
import { Field } from "../field.js";
import { legend } from "../template.js";

const SVG = "http://www.w3.org/2000/svg";

export class Stat {
  constructor(panel, body) {
    this.panel = panel;
    this.host = h("div", { class: "stats" });
    body.replaceChildren(this.host);
    this.items = [];
  }

  draw(results) {
    this.items = results.flatMap(({ target, series }) =>
      series.map((one) => {
        const name = legend(target, one.labels);
        return {
          name,
          field: new Field(this.panel, name, target.refId),
          values: one.values ?? [one.value],
          ...reduced(one, this.panel),
        };
      }),
    );
    this.restyle();
    return this.items.length ? null : new Field(this.panel).text(null);
  }

  restyle() {
    const { graphMode, colorMode } = this.panel.options ?? {};
    this.host.replaceChildren(
      ...this.items.map(({ name, field, value, values }) => {
        const tone = field.colour(value);
        const item = h(
          "div",
          { class: `stat${colorMode === "background" ? " filled" : ""}`, style: { "--tone": tone } },
          this.items.length > 1 ? h("span", { class: "stat-name" }, name) : null,
          h("span", { class: `value${field.isWord(value) ? " word" : ""}` }, ...sized(field.text(value))),
        );
        if (graphMode === "area" && values.length > 1) item.prepend(course(values));
        return item;
      }),
    );
  }

  summary() {
    return this.items
      .map(({ name, field, value }) => `${this.items.length > 1 ? `${name} ` : ""}${field.text(value)}`)
      .join(", ");
  }

  end() {
    this.host.remove();
  }
}

/** The one value shown for a series. */
function reduced({ value, values }, panel) {
  if (!values) return { value };
  const [calc = "lastNotNull"] = panel.options?.reduceOptions?.calcs ?? [];
  const present = values.filter((each) => each !== null);
  const of = {
    last: () => values.at(-1) ?? null,
    lastNotNull: () => present.at(-1) ?? null,
    max: () => (present.length ? Math.max(...present) : null),
    min: () => (present.length ? Math.min(...present) : null),
    mean: () => (present.length ? present.reduce((sum, each) => sum + each, 0) / present.length : null),
    sum: () => present.reduce((sum, each) => sum + each, 0),
  };
  return { value: (of[calc] ?? of.lastNotNull)() };
}

/** The large number with its small unit. */
function sized(text) {
  const parts = /^([−\d.,e+∞-]+)(\s?)(.*)$/.exec(text);
  return parts && parts[3] ? [parts[1], h("small", {}, `${parts[2]}${parts[3]}`)] : [text];
}

/** The graph of the values as an area along the lower edge. */
function course(values) {
  const present = values.filter((value) => value !== null && Number.isFinite(value));
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 40");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("course");
  if (present.length < 2) return svg;
  const low = Math.min(0, ...present);
  const height = Math.max(...present) - low || 1;
  const points = values.map((value, at) =>
    value === null ? null : [(at / (values.length - 1)) * 100, 38 - ((value - low) / height) * 34],
  );
  for (const piece of pieces(points)) {
    const line = piece.map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`).join(" L");
    svg.append(
      path(`M${piece[0][0].toFixed(2)},40 L${line} L${piece.at(-1)[0].toFixed(2)},40 Z`, "area"),
      path(`M${line}`, "line"),
    );
  }
  return svg;
}

function pieces(points) {
  const found = [[]];
  for (const point of points) {
    if (point) found.at(-1).push(point);
    else if (found.at(-1).length) found.push([]);
  }
  return found.filter((piece) => piece.length > 1);
}

function path(shape, name) {
  const element = document.createElementNS(SVG, "path");
  element.setAttribute("d", shape);
  element.setAttribute("class", name);
  return element;
}
