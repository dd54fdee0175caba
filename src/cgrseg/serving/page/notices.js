// What goes on and what went wrong, in words.

import { button, find, make, speak } from "./elements.js";

const TITLES = {
  gone: "The server does not answer",
  token: "This server needs its token",
  large: "The image is too large",
  image: "This request was refused",
  busy: "The server is busy",
  failed: "The model is not available",
  late: "It took too long",
  broken: "The server had a problem",
  camera: "No photo",
  page: "This page failed",
  cancelled: "Cancelled",
  other: "Nothing to label",
};
const NEXT = {
  page: "Load it again; it needs a browser of 2023 or later.",
  gone: "See whether it still runs, and whether this device is still in its network.",
};
const AGAIN = new Set(["gone", "busy", "late", "broken", "cancelled"]);

/** Say what went wrong; `again` does what failed once more, `name` is the image's. */
export function complain(trouble, again, name) {
  const kind = TITLES[trouble.kind] ? trouble.kind : "broken";
  const close = button("\u00d7", clear, { class: "close", "aria-label": "Close" });
  const retry = again && AGAIN.has(kind) ? button("Try again", () => { clear(); again(); }) : null;
  const text = make("div", {}, make("strong", {}, kind === "image" && name ? `${name} cannot be labelled` : TITLES[kind]), make("p", {}, spelled(trouble.message || NEXT[kind] || "")));
  find("notices").replaceChildren(make("div", { class: "notice", role: "alert", "data-kind": kind }, text, retry, close));
}

/** Ask for the token; `onToken` gets it. */
export function askToken(onToken, isWrong) {
  const field = make("input", { type: "password", id: "token", autocomplete: "current-password", required: true });
  const form = make("form", { class: "notice calm", submit: (event) => { event.preventDefault(); clear(); onToken(field.value.trim()); } },
    make("div", {}, make("strong", {}, TITLES.token), make("p", {}, isWrong ? "The server did not take this one. " : "", "Whoever runs the server can tell you. It is kept until you close this window.")),
    make("div", { class: "field" }, make("label", { for: "token", class: "unseen" }, "Token"), field, make("button", { class: "primary" }, "Go on")));
  find("notices").replaceChildren(form);
  field.focus();
}

export function clear() {
  find("notices").replaceChildren();
}

/** What the server says becomes a sentence: a capital first, a full stop last. */
function spelled(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return begun && !/[.!?]$/.test(begun) ? `${begun}.` : begun;
}

/** A line that tells how far the work is; `say(text, share)` moves it, without a share it just runs. */
export function makeProgress(onCancel) {
  const words = make("span");
  const bar = make("i");
  const element = make("div", { class: "progress", hidden: true }, make("p", {}, words, button("Cancel", onCancel, { class: "link" })), make("div", { class: "track" }, bar));
  const say = (text, share = null) => {
    const isNew = element.hidden || words.textContent.replace(/\d+/, "") !== text.replace(/\d+/, "");
    if (isNew) speak(text); // not each second of a count
    element.hidden = false;
    words.textContent = text;
    element.classList.toggle("runs", share === null);
    bar.style.width = share === null ? "" : `${100 * share}%`;
  };
  const end = () => { element.hidden = true; };
  return { element, say, end };
}
