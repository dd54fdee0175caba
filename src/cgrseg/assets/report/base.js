// What every part of the page uses: its content, elements, numbers as text, and the box that tells what is pointed at.

const content = JSON.parse(document.getElementById("content").textContent);
const { report, classes } = content;

/** An element with attributes, properties (functions, `hidden`, ...) and children; text is never read as HTML. */
function make(tag, attributes = {}, ...children) {
  const [name, space] = tag.startsWith("svg:") ? [tag.slice(4), "http://www.w3.org/2000/svg"] : [tag, "http://www.w3.org/1999/xhtml"];
  const element = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key, value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
  return element;
}

/** A titled part of the page, with a sentence on how to read it. */
function section(id, title, lead, ...children) {
  const part = make("section", { id, "aria-labelledby": `${id}-title` },
    make("h2", { id: `${id}-title` }, title), lead ? make("p", { class: "lead" }, lead) : null, ...children);
  document.getElementById("main").append(part);
  return part;
}

const DASH = "\u2013";

function percent(share, digits = 1) {
  return share === null || share === undefined ? DASH : (100 * share).toFixed(digits);
}

function points(share, digits = 1) {
  if (share === null || share === undefined) return DASH;
  const text = Math.abs(100 * share).toFixed(digits);
  return Number(text) === 0 ? text : `${share < 0 ? "\u2212" : "+"}${text}`;
}

/** A small share with digits enough to be told from nothing. */
function fine(share) {
  if (share === 0) return "0";
  return 100 * share < 0.01 ? "<0.01" : percent(share, 100 * share < 1 ? 2 : 1);
}

function count(number, one, many) {
  return `${number.toLocaleString("en")}${one ? ` ${number === 1 ? one : many ?? `${one}s`}` : ""}`;
}

function css(colour) {
  return `rgb(${colour.join(" ")})`;
}

/** A value of the style sheet, for canvases. */
function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function swatch(place) {
  return make("span", { class: "swatch", style: `background:${css(classes[place].colour)}`, "aria-hidden": "true" });
}

/** A class's colour and name, which a line break does not part. */
function labelled(place) {
  return make("span", { class: "class" }, swatch(place), classes[place].name);
}

const tip = document.getElementById("tip");

/** Show some lines beside the pointer, inside the window. */
function showTip(x, y, ...lines) {
  tip.replaceChildren(...lines.map((line) => make("div", {}, line)));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const left = Math.max(8, Math.min(x + 14, document.documentElement.clientWidth - width - 8));
  const above = y - height - 14;
  tip.style.transform = `translate(${left}px, ${above > 8 ? above : y + 18}px)`;
}

function hideTip() {
  tip.hidden = true;
}

/** Tell these lines while something is pointed at. */
function tell(element, ...lines) {
  element.addEventListener("pointermove", (event) => showTip(event.clientX, event.clientY, ...lines));
  element.addEventListener("pointerleave", hideTip);
  return element;
}

/** Paint now, and again where the width or the colours of the page change. */
function repaint(host, paint) {
  let width = 0;
  const again = () => {
    if (host.clientWidth > 0) paint(host.clientWidth);
  };
  new ResizeObserver(() => {
    if (host.clientWidth !== width) {
      width = host.clientWidth;
      again();
    }
  }).observe(host);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
}

/** Buttons of which one is chosen; arrow keys move between them. */
function choice(name, label, options, chosen, onChange) {
  const group = make("fieldset", { class: "choice" }, make("legend", { class: "unseen" }, label));
  for (const [value, text] of Object.entries(options)) {
    const radio = make("input", { type: "radio", name, value, checked: value === chosen, change: () => onChange(value) });
    group.append(make("label", {}, radio, make("span", {}, text)));
  }
  return group;
}
