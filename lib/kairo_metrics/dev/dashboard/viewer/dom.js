// Short functions to make and find elements.

/**
 * Make an element. A property whose name begins with "on" is a listener, one that the element has is set, any other
 * becomes an attribute; null and false are left out.
 */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className = value;
    else if (key === "style") {
      for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    } else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** The value of a custom property of the style sheet, such as "--muted". */
export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
