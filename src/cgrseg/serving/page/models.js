// Which model labels, and what it knows.

import { find, make, percent, several } from "./elements.js";

/** The switcher in the header; `onChange` gets a name. With one model there is nothing to switch. */
export function showModels(models, chosen, onChange) {
  const place = find("models");
  if (models.length === 1) {
    place.replaceChildren(make("span", { class: "model" }, models[0].name, state(models[0])));
    return;
  }
  const select = make("select", { id: "model", change: () => onChange(select.value) }, models.map((model) => {
    const words = model.state === "ready" ? "" : ` (${model.state})`;
    return make("option", { value: model.name, selected: model.name === chosen, disabled: model.state === "failed", title: model.error }, model.name + words);
  }));
  if (document.activeElement?.id === "model") return; // not while one chooses
  place.replaceChildren(make("label", { for: "model" }, "Model"), select);
}

function state(model) {
  return model.state === "ready" ? null : make("small", { title: model.error }, model.state === "loading" ? "loading" : "failed");
}

/** What a model does, in a sentence. */
export function tellModel(model) {
  if (model.state === "loading") return `${model.name} is still loading. You can choose an image already.`;
  if (model.state === "failed") return `${model.name} could not be loaded: ${model.error}.`;
  const names = model.classes.map(({ name }) => name);
  const score = model.scores["val/miou"];
  const scored = score === undefined ? "" : ` On its validation images it reached a mean IoU of ${percent(score)}.`;
  return `${model.name} gives each pixel one of ${names.length} classes: ${several(names, 5)}.${scored}`;
}
