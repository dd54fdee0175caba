// What every part of the page uses: elements, numbers as text, and waiting.

/** The element of an id. */
export function find(id) {
  return document.getElementById(id);
}

/** An element with attributes, listeners (functions) and children; text is never read as HTML. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key, value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function button(text, onClick, attributes = {}) {
  return make("button", { type: "button", click: onClick, ...attributes }, text);
}

/** Buttons of which one is chosen; arrow keys move between them. */
export function choice(name, label, options, chosen, onChange) {
  const group = make("fieldset", { class: "choice" }, make("legend", { class: "unseen" }, label));
  for (const [value, text] of Object.entries(options)) {
    const radio = make("input", { type: "radio", name, value, checked: value === chosen, change: () => onChange(value) });
    group.append(make("label", {}, radio, make("span", {}, text)));
  }
  return group;
}

/** A small square in a class's colour. */
export function swatch(colour) {
  const square = make("span", { class: "swatch", "aria-hidden": "true" });
  square.style.background = css(colour);
  return square;
}

export function css(colour) {
  return `rgb(${colour.join(" ")})`;
}

/** A share in percent; what is there but tiny is told from nothing. */
export function percent(share) {
  if (share > 0 && share < 0.001) return "<0.1\u202f%";
  return `${(100 * share).toFixed(1)}\u202f%`;
}

/** A share in whole percent. */
export function rounded(share) {
  return `${Math.round(100 * share)}\u202f%`;
}

export function megabytes(bytes) {
  const size = bytes / 2 ** 20;
  return `${size < 10 ? size.toFixed(1) : Math.round(size)}\u00a0MB`;
}

export function megapixels(pixels) {
  const size = pixels / 1e6;
  return `${size < 10 ? size.toFixed(1) : Math.round(size)}\u00a0megapixels`;
}

/** Some of many names: "sky, road and 9 more". */
export function several(names, most) {
  const shown = names.slice(0, names.length > most + 1 ? most : names.length);
  const rest = names.length - shown.length;
  const last = rest ? `${rest} more` : shown.pop();
  return shown.length ? `${shown.join(", ")} and ${last}` : last;
}

/** Wait; ends early, with the signal's reason, when it is aborted. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}

/** Tell those who listen instead of look. */
export function speak(text) {
  find("spoken").textContent = text;
}
