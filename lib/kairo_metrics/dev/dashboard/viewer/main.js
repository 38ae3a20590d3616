// The page: loads the dashboard, queries the numbers repeatedly, and handles the reader's input.

import { Board } from "./board.js";
import { hideTooltip } from "./chart.js";
import { byId, h } from "./dom.js";
import { isMachinery, ofSeries } from "./families.js";
import { listen } from "./keyboard.js";
import { OwnMetrics } from "./own_metrics.js";
import { Unreachable, dashboard, instant, metadata, names, source } from "./prometheus.js";
import { interpolate, timeVariables } from "./template.js";
import { QueryBox } from "./query_box.js";
import { Theme } from "./theme.js";
import { clock, span } from "./units.js";
import { Variables } from "./variables.js";

// In seconds: the ranges to choose from, the first range, the refresh interval, and the assumed scrape interval.
const BUILT_IN = { ranges: [300, 900], first: 300, every: 2, scrape: 5 };
const PROMETHEUS = { ranges: [900, 3600, 21600, 86400], first: 3600, every: 15, scrape: 30 };
const POINTS = 110;
const STEPS = [1, 2, 3, 5, 10, 15, 30, 60, 120, 300, 600, 900];
const SHORTEST_S = 60;
const VARIABLES_EVERY_S = 10;

class Page {
  constructor(model, about) {
    this.about = about;
    this.pace = about.kind === "built-in" ? BUILT_IN : PROMETHEUS;
    const address = new URLSearchParams(location.search);
    const asked = Number(address.get("range"));
    this.range = asked >= SHORTEST_S ? asked : this.pace.first;
    this.paused = false;
    document.title = `${model.title} · dashboard`;
    byId("title").textContent = model.title;
    const chosen = Object.fromEntries(
      [...address].filter(([name]) => name.startsWith("var-")).map(([name, value]) => [name.slice(4), value]),
    );
    this.variables = new Variables(model.templating?.list ?? [], byId("variables"), chosen, () => this.#choose());
    this.board = new Board(model, byId("panels"), (panel) => this.ready && this.#refresh([panel]));
    this.own = new OwnMetrics(this.board, model);
    this.query = new QueryBox(this.board, {
      first: address.get("query") ?? "",
      values: () => this.#context().values,
      run: (panel) => this.#refresh([panel]),
      changed: () => this.#remember(),
    });
    this.theme = new Theme(() => this.board.panels.forEach((panel) => panel.restyle()));
    this.#tools();
    this.#keys();
    document.addEventListener("visibilitychange", () => this.#soon());
    byId("panels").addEventListener("tell", ({ detail }) => {
      byId("live").textContent = detail;
    });
    byId("panels").addEventListener("zoom", ({ detail }) => this.#zoom(detail));
    addEventListener("hashchange", () => this.#followHash());
    addEventListener("scroll", hideTooltip, { passive: true });
  }

  /** Query everything once, and then the visible panels every few seconds. */
  async run() {
    await this.#round();
    this.#followHash();
    this.#soon();
  }

  #soon() {
    clearTimeout(this.timer);
    if (this.paused || document.hidden) return;
    this.timer = setTimeout(
      async () => {
        await this.#round();
        this.#soon();
      },
      this.ready ? this.pace.every * 1000 : 1000,
    );
  }

  async #round() {
    try {
      const before = this.about.form;
      this.about = await source();
      // The first request shows what the metrics are called: the dashboard is then written with these names.
      this.stale ||= before !== this.about.form;
      if (this.stale && !this.query.isBeingWritten) location.reload();
      if (!this.loaded || performance.now() - this.loaded > VARIABLES_EVERY_S * 1000 || this.quiet) {
        await this.variables.load();
        this.loaded = performance.now();
      }
      await this.#ownMetrics();
      this.ready = true;
      await this.#refresh(this.board.visible);
      await this.#tell();
    } catch (error) {
      this.#failed(error);
    }
  }

  async #refresh(panels) {
    const context = this.#context();
    try {
      await Promise.all(panels.map((panel) => panel.refresh(context)));
    } catch (error) {
      this.#failed(error);
    }
  }

  async #ownMetrics() {
    const builtIn = this.about.kind === "built-in";
    if (!builtIn && this.listed === this.loaded) return;
    this.listed = this.loaded;
    try {
      const known = await metadata();
      // A Prometheus knows the metrics of all its targets.
      this.known = builtIn ? known : ofSeries(await names(`{${interpolate('job=~"$job"', this.#values)}}`), known);
      this.own.update(this.known);
    } catch (error) {
      if (error instanceof Unreachable) throw error;
      this.own.tell(error.message);
    }
  }

  get #values() {
    return { job: ".*", ...this.variables.values };
  }

  #context() {
    // Times are multiples of the step, so that a point keeps its place and value when the page refreshes.
    const { kind, first_ms: first, last_ms: last } = this.about;
    const builtIn = kind === "built-in";
    const now = this.zoomed?.to ?? (builtIn && last ? last / 1000 : Date.now() / 1000);
    // A short history fills the whole width, too.
    const whole = builtIn && first ? Math.min(this.range, Math.max(SHORTEST_S, now - first / 1000)) : this.range;
    const range = this.zoomed ? this.zoomed.to - this.zoomed.from : whole;
    const step = Math.max(
      STEPS.find((each) => each >= range / POINTS) ?? range / POINTS,
      builtIn ? 0 : this.pace.scrape,
    );
    const end = Math.floor(now / step) * step;
    const start = end - Math.ceil(range / step) * step;
    const times = Array.from({ length: Math.round((end - start) / step) + 1 }, (_, number) => start + number * step);
    const values = { ...this.#values, ...timeVariables({ start, end, step, scrape: this.pace.scrape }) };
    return { now, start, end, step, times, values };
  }

  async #tell() {
    const { kind, name, first_ms: first, last_ms: last, problem } = this.about;
    const age =
      kind === "built-in"
        ? last
          ? `built-in history of ${span((last - first) / 1000)}`
          : "built-in history, still empty"
        : name;
    byId("source").replaceChildren(
      h("span", { class: this.paused ? "beat still" : "beat", "aria-hidden": "true" }),
      `${age} · ${clock(Date.now() / 1000)}`,
    );
    const requests = `sum(${this.about.prefix}http_requests_total)`;
    const known =
      this.quiet === false ||
      // With the names of another library, the requests have another name.
      Object.keys(this.known ?? {}).some((each) => !isMachinery({ name: each })) ||
      (await instant(requests, this.#context().now)).some(({ value }) => value > 0);
    this.quiet = !known;
    if (problem) this.#notice(problem, "bad");
    else if (this.quiet) {
      this.#notice(
        h(
          "span",
          {},
          "No requests yet. Send some in another terminal: ",
          h("code", {}, this.about.demo || `curl ${location.origin}/`),
        ),
        "hint",
      );
    } else this.#notice("");
  }

  #failed(error) {
    if (!(error instanceof Unreachable)) console.warn(error);
    const reason =
      error instanceof Unreachable
        ? "The dev server does not answer. Is make run still running? This page goes on by itself."
        : error.message;
    this.#notice(reason, "bad");
    const dot = byId("source").querySelector(".beat");
    if (dot && error instanceof Unreachable) dot.className = "beat gone";
  }

  #notice(text, kind = "") {
    const notice = byId("notice");
    notice.hidden = !text;
    if (notice.textContent !== (text.textContent ?? text)) notice.replaceChildren(text);
    notice.className = `notice ${kind}`;
  }

  #tools() {
    byId("ranges").replaceChildren(
      ...this.pace.ranges.map((seconds) =>
        h(
          "button",
          {
            type: "button",
            "data-range": seconds,
            "aria-pressed": String(seconds === this.range),
            onclick: () => this.#setRange(seconds),
          },
          span(seconds),
        ),
      ),
      h("input", {
        type: "number",
        id: "own-range",
        min: SHORTEST_S / 60,
        placeholder: "min",
        "aria-label": "Time range in minutes",
        title: "Another time range, in minutes",
        onchange: ({ target }) => target.checkValidity() && this.#setRange(target.valueAsNumber * 60),
      }),
    );
    this.#showRange();
    byId("unzoom").addEventListener("click", () => this.#zoom(null));
    byId("pause").addEventListener("click", () => this.#pause());
    this.#showPause();
  }

  #keys() {
    const { board } = this;
    listen([
      { keys: ["?"], shown: "?", does: "show this list", run: () => byId("help").showModal() },
      { keys: ["p"], shown: "p", does: "pause, and go on", run: () => this.#pause() },
      { keys: ["r"], shown: "r", does: "ask for the numbers now", run: () => this.#round() },
      {
        keys: ["1", "2", "3", "4"],
        shown: "1 2",
        does: "choose the time range",
        run: (key) => this.#setRange(this.pace.ranges[key - 1]),
      },
      { keys: ["t"], shown: "t", does: "theme: system, light, dark", run: () => this.theme.next() },
      { keys: ["v"], shown: "v", does: "go to the variables", run: () => this.variables.focus() },
      { keys: ["/"], shown: "/", does: "search your metrics", run: () => this.own.focus() },
      { keys: ["q"], shown: "q", does: "write a query", run: () => this.query.focus() },
      { keys: ["j"], shown: "j", does: "next panel", run: () => board.step(1) },
      { keys: ["k"], shown: "k", does: "panel before", run: () => board.step(-1) },
      {
        keys: ["ArrowLeft", "ArrowRight"],
        shown: "← →",
        does: "read the focused panel's values, moment by moment",
        run: (key) => this.#move(key === "ArrowLeft" ? -1 : 1),
      },
      {
        keys: ["Enter"],
        shown: "Enter",
        does: "enlarge the focused panel",
        run: () => (board.focused ? board.view(board.focused) : false),
      },
      { keys: ["Escape"], shown: "Esc", does: "back to all panels", run: () => this.#escape() },
      { keys: ["o"], shown: "o", does: "open or close all rows", run: () => board.toggleAll() },
    ]);
  }

  #move(by) {
    const plot = this.board.focused?.element.querySelector(".plot");
    if (!plot) return false;
    plot.dispatchEvent(new CustomEvent("moveby", { detail: by }));
    return true;
  }

  #escape() {
    hideTooltip();
    if (this.board.viewed) this.board.view(this.board.viewed);
    else if (this.zoomed) this.#zoom(null);
  }

  #setRange(seconds) {
    if (!seconds) return;
    this.range = seconds;
    this.#showRange();
    this.#remember();
    this.#zoom(null);
  }

  #showRange() {
    for (const button of byId("ranges").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.range) === this.range));
    }
    byId("own-range").value = this.pace.ranges.includes(this.range) ? "" : String(this.range / 60);
  }

  /** Show the part of the time that was dragged over, {from, to} in seconds, or with null all of it again. */
  #zoom(part) {
    this.zoomed = part;
    const button = byId("unzoom");
    button.hidden = !part;
    if (part) button.textContent = `${clock(part.from)} – ${clock(part.to)} ✕`;
    this.#refresh(this.board.visible);
  }

  #pause() {
    this.paused = !this.paused;
    this.#showPause();
    this.#soon();
    if (!this.paused) this.#round();
    else this.#tell();
  }

  #showPause() {
    const button = byId("pause");
    button.textContent = this.paused ? "▶ Go on" : "❚❚ Pause";
    button.title = `${this.paused ? "Go on" : "Pause"} (p)`;
    button.setAttribute("aria-pressed", String(this.paused));
  }

  async #choose() {
    this.#remember();
    await this.variables.load();
    await this.#refresh(this.board.visible);
  }

  #remember() {
    const address = new URLSearchParams(
      Object.entries(this.variables.chosen).map(([name, value]) => [`var-${name}`, value]),
    );
    if (this.range !== this.pace.first) address.set("range", this.range);
    if (this.query.text) address.set("query", this.query.text);
    history.replaceState(null, "", `${location.pathname}${address.size ? `?${address}` : ""}${location.hash}`);
  }

  #followHash() {
    const id = /^#panel-(\d+)$/.exec(location.hash)?.[1];
    if (id) this.board.reveal(Number(id));
  }
}

async function begin() {
  try {
    // In this order, so that a dashboard that has changed in between is noticed.
    const about = await source();
    await new Page(await dashboard(), about).run();
  } catch (error) {
    byId("source").textContent = "";
    byId("notice").hidden = false;
    byId("notice").className = "notice bad";
    byId("notice").textContent = error.message;
  }
}

begin();
