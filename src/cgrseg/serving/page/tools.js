// What one does with a labelled image: another layer, a swipe, the opacity, files to keep.

import { button, choice, make } from "./elements.js";

const LAYERS = { labels: "Labels", confidence: "Confidence" };
const DOWNLOADS = { png: ["Label map", ".png"], overlay: ["Overlay", "_overlay.jpg"], json: ["JSON", ".json"] };

/** The row above the stage; `onLayer` gets the name of a layer. */
export function makeTools(stage, onLayer) {
  const opacity = make("input", { type: "range", min: "0", max: "100", value: "60", input: () => { stage.above.style.opacity = opacity.value / 100; } });
  stage.above.style.opacity = opacity.value / 100;
  const ramp = make("span", { class: "ramp", hidden: true }, "unsure", make("i"), "sure");
  const layers = choice("layer", "Layer", LAYERS, "labels", (layer) => {
    ramp.hidden = layer !== "confidence";
    stage.above.dataset.layer = layer;
    stage.swipe.name(LAYERS[layer]);
    onLayer(layer);
  });
  const swipe = button("Swipe", () => {
    const isOpen = swipe.getAttribute("aria-pressed") !== "true";
    swipe.setAttribute("aria-pressed", String(isOpen));
    stage.swipe.open(isOpen);
  }, { "aria-pressed": "false", class: "toggle" });
  return [layers, swipe, make("label", { class: "opacity" }, "Opacity", opacity), ramp];
}

/** Buttons that fetch a file; `fetchAs(format)` gives its bytes, `name()` the image's. */
export function makeDownloads(fetchAs, name) {
  const buttons = Object.entries(DOWNLOADS).map(([format, [text, ending]]) => {
    const one = button(text, async () => {
      one.disabled = true;
      const blob = await fetchAs(format);
      one.disabled = false;
      if (blob) save(blob, name().replace(/\.[^.]*$/, "") + ending);
    }, { "data-format": format });
    return one;
  });
  return make("div", { class: "downloads" }, make("h2", {}, "Download"), make("div", { class: "buttons" }, buttons));
}

function save(blob, name) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
