// The theme: light, dark, or that of the system.

import { byId } from "./dom.js";

const KEY = "kairo-dashboard-theme";
const ORDER = ["auto", "light", "dark"];
const NAMES = { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };
const SIGNS = { auto: "◐", light: "☀", dark: "☾" };
const system = matchMedia("(prefers-color-scheme: dark)");

export class Theme {
  /** @param changed called when the colours have changed */
  constructor(changed) {
    this.changed = changed;
    this.button = byId("theme");
    this.button.addEventListener("click", () => this.next());
    system.addEventListener("change", () => this.#apply(this.chosen));
    this.#apply(ORDER.includes(localStorage.getItem(KEY)) ? localStorage.getItem(KEY) : "auto");
  }

  next() {
    const chosen = ORDER[(ORDER.indexOf(this.chosen) + 1) % ORDER.length];
    localStorage.setItem(KEY, chosen);
    this.#apply(chosen);
  }

  #apply(chosen) {
    this.chosen = chosen;
    document.documentElement.dataset.theme = chosen === "auto" ? (system.matches ? "dark" : "light") : chosen;
    this.button.textContent = SIGNS[chosen];
    this.button.title = `${NAMES[chosen]} (t)`;
    this.button.setAttribute("aria-label", NAMES[chosen]);
    this.changed();
  }
}
