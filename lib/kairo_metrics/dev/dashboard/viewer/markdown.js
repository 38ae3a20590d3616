// Markdown as elements. The lexer is from a library; no part of the text is parsed as HTML.

import { h } from "./dom.js";
import { lexer } from "./vendor/marked.js";

/** Turn Markdown into elements. */
export function markdown(text) {
  return blocks(lexer(text, { gfm: true }));
}

const blocks = (tokens = []) => tokens.flatMap(block);
const inlines = (tokens = []) => tokens.flatMap(inline);

function block(token) {
  switch (token.type) {
    case "space":
    case "html":
    case "def":
      return [];
    case "heading":
      return [h(`h${Math.min(6, token.depth + 2)}`, {}, ...inlines(token.tokens))];
    case "paragraph":
      return [h("p", {}, ...inlines(token.tokens))];
    case "code":
      return [
        h("pre", { tabindex: "0", role: "group", "aria-label": token.lang || "code" }, h("code", {}, token.text)),
      ];
    case "blockquote":
      return [h("blockquote", {}, ...blocks(token.tokens))];
    case "hr":
      return [h("hr")];
    case "list":
      return [h(token.ordered ? "ol" : "ul", {}, ...token.items.map((item) => h("li", {}, ...blocks(item.tokens))))];
    case "table":
      return [table(token)];
    case "text":
      return token.tokens ? inlines(token.tokens) : [token.text];
    default:
      return [token.raw];
  }
}

function inline(token) {
  switch (token.type) {
    case "html":
      return [];
    case "strong":
      return [h("strong", {}, ...inlines(token.tokens))];
    case "em":
      return [h("em", {}, ...inlines(token.tokens))];
    case "del":
      return [h("del", {}, ...inlines(token.tokens))];
    case "codespan":
      return [h("code", {}, token.text)];
    case "br":
      return [h("br")];
    case "link":
      return [link(token)];
    case "text":
    case "escape":
      return token.tokens ? inlines(token.tokens) : [decoded(token.text)];
    default:
      return [token.raw];
  }
}

function link(token) {
  const safe = /^(https?:|#|\/|[\w.-]+(\/|$|#))/.test(token.href) && !/^\w+:(?!\/\/)/.test(token.href);
  const words = inlines(token.tokens);
  return safe ? h("a", { href: token.href, rel: "noreferrer" }, ...words) : h("span", {}, ...words);
}

function table(token) {
  const cells = (row, name) => row.map((cell) => h(name, {}, ...inlines(cell.tokens)));
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, ...cells(token.header, "th"))),
    h("tbody", {}, ...token.rows.map((row) => h("tr", {}, ...cells(row, "td")))),
  );
}

const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"', "&#39;": "'" };
const decoded = (text) => text.replace(/&(?:lt|gt|amp|quot|#39);/g, (entity) => ENTITIES[entity]);
