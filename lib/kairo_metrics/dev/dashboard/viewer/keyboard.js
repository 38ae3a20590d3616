// Keys for everything that a pointer can do; the page's help lists them.

import { byId, h } from "./dom.js";

/**
 * Listen to keys, and list them in the help.
 *
 * @param shortcuts [{keys: ["p"], shown: "p", does: "pause", run: (key) => …}]
 */
export function listen(shortcuts) {
  const help = byId("help");
  byId("help-button").addEventListener("click", () => help.showModal());
  byId("shortcuts").replaceChildren(
    ...shortcuts.flatMap(({ shown, does }) => [
      h("dt", {}, ...shown.split(" ").map((key) => h("kbd", {}, key))),
      h("dd", {}, does),
    ]),
  );
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const writing = event.target.closest("input, select, textarea");
    const pressing = event.target.closest("button, a, summary") && ["Enter", " "].includes(event.key);
    if (writing || pressing) return;
    const shortcut = shortcuts.find(({ keys }) => keys.includes(event.key));
    if (shortcut && shortcut.run(event.key) !== false) event.preventDefault();
  });
}
