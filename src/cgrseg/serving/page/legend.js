// The classes that are in the image, the largest first: each can be hidden, or shown alone.

import { button, css, make, percent, rounded } from "./elements.js";

/** The list; `onChange` hears when other classes are to be shown, `shows(label)` tells which. */
export function makeLegend(onChange) {
  const state = { hidden: new Set(), only: null, rows: new Map() };
  const list = make("ol", { class: "legend" });
  const all = button("Show all", () => { reset(); change(); }, { class: "link", hidden: true });
  const element = make("div", {}, make("div", { class: "head" }, make("h2", {}, "Classes"), all), list);
  const shows = (label) => (state.only === null ? !state.hidden.has(label) : state.only === label);

  function reset() {
    state.hidden.clear();
    state.only = null;
  }

  function change() {
    for (const [label, { row, box, only }] of state.rows) {
      row.classList.toggle("off", !shows(label));
      box.checked = shows(label);
      only.setAttribute("aria-pressed", String(state.only === label));
    }
    all.hidden = state.only === null && state.hidden.size === 0;
    onChange();
  }

  function toggle(label) {
    if (state.only !== null) { // what is seen is what one goes on from
      for (const other of state.rows.keys()) if (other !== state.only) state.hidden.add(other);
      state.only = null;
    }
    if (!state.hidden.delete(label)) state.hidden.add(label);
    change();
  }

  function isolate(label) {
    state.only = state.only === label ? null : label;
    change();
  }

  /** List the classes that were measured, all of them shown. */
  function fill(measured, classes) {
    reset();
    state.rows = new Map(measured.map((row) => [row.label, makeRow(row, classes[row.label], toggle, isolate)]));
    list.replaceChildren(...[...state.rows.values()].map(({ row }) => row));
    change();
  }

  function mark(label) {
    for (const [other, { row }] of state.rows) row.classList.toggle("here", other === label);
  }

  return { element, fill, mark, shows, isAlone: () => state.only !== null };
}

function makeRow({ label, share, confidence }, { name, colour }, toggle, isolate) {
  const box = make("input", { type: "checkbox", checked: true, change: () => toggle(label) });
  const only = button("Only", () => isolate(label), { class: "link only", "aria-label": `Only ${name}`, "aria-pressed": "false" });
  const meter = make("i", { class: "meter", "aria-hidden": "true" });
  const row = make("li", { title: `Mean confidence ${rounded(confidence)}` },
    make("label", {}, box, make("span", { class: "name" }, name)), only, make("span", { class: "amount" }, percent(share)), meter);
  row.style.setProperty("--colour", css(colour));
  row.style.setProperty("--share", share);
  return { row, box, only };
}
