// The dashboard's own texts: runbooks and notes.

import { h } from "../dom.js";
import { markdown } from "../markdown.js";

export class Text {
  constructor(panel, body) {
    const { mode, content = "" } = panel.options ?? {};
    const words = mode === "markdown" || mode === undefined ? markdown(content) : [h("pre", {}, content)];
    body.replaceChildren(
      h("div", { class: "words", tabindex: "0", role: "region", "aria-label": panel.title }, ...words),
    );
  }

  draw() {
    return null;
  }

  restyle() {}

  summary() {
    return "";
  }

  end() {}
}
