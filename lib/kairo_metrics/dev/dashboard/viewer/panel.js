// One panel: its frame, its queries, and its text while there is nothing to draw.

import { h } from "./dom.js";
import { HeatMap } from "./panels/heatmap.js";
import { Stat } from "./panels/stat.js";
import { Table } from "./panels/table.js";
import { Text } from "./panels/text.js";
import { TimeSeries } from "./panels/timeseries.js";
import { Unreachable, instant, ranged } from "./prometheus.js";
import { interpolate } from "./template.js";

// More would make the page slow, and nobody could tell the lines apart.
const MOST_SERIES = 200;
const KINDS = { timeseries: TimeSeries, graph: TimeSeries, stat: Stat, heatmap: HeatMap, table: Table, text: Text };

export class Panel {
  /**
   * @param model the panel of the dashboard's JSON
   * @param board has the other panels: `view` enlarges one, `reveal` scrolls to one
   */
  constructor(model, board) {
    this.model = model;
    this.board = board;
    this.visible = false;
    this.body = h("div", { class: "body" });
    this.state = h("p", { class: "state" });
    this.state.hidden = true;
    this.cut = h("p", { class: "cut muted" });
    this.cut.hidden = true;
    this.element = this.#frame();
    const Kind = KINDS[model.type];
    if (Kind) this.view = new Kind(model, this.body);
    else this.#say(`This page does not draw panels of the type “${model.type}”; Grafana does.`, "error");
  }

  get id() {
    return this.model.id;
  }

  /** Query the numbers and draw them; an error is shown on the panel. */
  async refresh(context) {
    const targets = (this.model.targets ?? []).filter(({ hide, expr }) => !hide && expr);
    if (!this.view || !targets.length) return;
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    this.element.setAttribute("aria-busy", "true");
    try {
      const results = await Promise.all(
        targets.map(async (target) => ({ target, series: await ask(target, this.model.type, context, asking.signal) })),
      );
      if (asking.signal.aborted) return;
      const count = results.reduce((sum, { series }) => sum + series.length, 0);
      const nothing = this.view.draw(this.#bounded(results, count), context.times);
      this.#say(nothing, "empty");
      this.#tell(nothing ? "empty" : "drawn", count);
      this.body.setAttribute("aria-label", `${this.model.title}: ${nothing ?? this.view.summary()}`);
    } catch (error) {
      if (error.name === "AbortError" || asking.signal.aborted) return;
      if (error instanceof Unreachable) throw error;
      this.#say(error.message, "error");
      this.#tell("error");
    } finally {
      if (this.asking === asking) this.element.removeAttribute("aria-busy");
    }
  }

  /** Draw again in the colours of the new theme. */
  restyle() {
    this.view?.restyle();
  }

  #tell(state, count = 0) {
    this.element.dataset.state = state;
    const detail = { text: this.state.textContent, count };
    this.element.dispatchEvent(new CustomEvent("state", { bubbles: true, detail }));
  }

  /** At most so many series as a page can draw; the panel says how many are left out. */
  #bounded(results, count) {
    this.cut.hidden = count <= MOST_SERIES;
    this.cut.textContent = `${MOST_SERIES} of ${count} series are shown. Join some with sum, or choose with topk.`;
    let left = MOST_SERIES;
    return results.map(({ target, series }) => {
      const shown = series.slice(0, left);
      left -= shown.length;
      return { target, series: shown };
    });
  }

  #say(text, kind) {
    this.state.className = `state ${kind}`;
    this.state.textContent = text ?? "";
    this.state.hidden = !text;
    this.body.classList.toggle("covered", Boolean(text) && kind === "error");
  }

  #frame() {
    const { id, title, type, gridPos, description, links = [] } = this.model;
    const heading = h("h3", { id: `title-${id}` }, title);
    const element = h(
      "article",
      {
        id: `panel-${id}`,
        class: `panel ${type}`,
        tabindex: "-1",
        "aria-labelledby": `title-${id}`,
        style: { "--x": gridPos.x + 1, "--w": gridPos.w, "--h": gridPos.h },
      },
      h(
        "header",
        {},
        heading,
        ...this.#info(description, links),
        type === "text"
          ? null
          : h("button", {
              type: "button",
              class: "quiet enlarge",
              "aria-label": `Enlarge ${title}`,
              title: "Enlarge (Enter)",
              onclick: () => this.board.view(this),
            }),
      ),
      this.body,
      this.cut,
      this.state,
    );
    this.body.setAttribute("role", type === "table" || type === "text" ? "group" : "figure");
    this.body.setAttribute("aria-label", title);
    return element;
  }

  #info(description, links) {
    if (!description && !links.length) return [];
    const info = h(
      "details",
      { class: "info" },
      h("summary", { "aria-label": `About ${this.model.title}`, title: "About this panel" }, "i"),
      h("div", { class: "about" }, h("p", {}, description ?? ""), ...links.map((link) => h("p", {}, this.#link(link)))),
    );
    info.addEventListener("focusout", (event) => {
      if (!info.contains(event.relatedTarget)) info.open = false;
    });
    return [info];
  }

  #link({ title, url }) {
    const panel = /[?&]viewPanel=(\d+)/.exec(url)?.[1];
    if (!panel) return h("a", { href: url, rel: "noreferrer" }, title);
    return h(
      "a",
      {
        href: `#panel-${panel}`,
        onclick: (event) => {
          event.preventDefault();
          this.board.reveal(Number(panel));
        },
      },
      title,
    );
  }
}

function ask(target, type, context, signal) {
  const query = interpolate(target.expr, context.values);
  if (target.instant && !target.range) return instant(query, context.now, signal);
  // A large number shows the current value: with a long range, the last step may be minutes old.
  const late = type === "stat" ? context.now - context.end : 0;
  return ranged(query, { ...context, start: context.start + late, end: context.end + late }, signal);
}
