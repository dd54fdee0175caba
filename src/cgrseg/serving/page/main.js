// The page: an image comes in, is labelled by the server, and is looked at.
//
// intake --+                 +-- stage (image, labels, confidence)
// camera --+-- open -- label -+-- legend
// example -+                 +-- tools, downloads

import { photograph } from "./camera.js";
import { find, make, megabytes, megapixels, rounded, speak, swatch } from "./elements.js";
import { takeIn } from "./intake.js";
import { label } from "./labelling.js";
import { makeLegend } from "./legend.js";
import { showModels, tellModel } from "./models.js";
import { askToken, clear, complain, makeProgress } from "./notices.js";
import { measure } from "./paint.js";
import { readImage } from "./image.js";
import { Trouble, askExample, askExamples, askFor, askModels, keepToken } from "./server.js";
import { Stage } from "./stage.js";
import { makeDownloads, makeTools } from "./tools.js";

const state = { models: [], model: null, limits: null, classes: [], current: null, layer: "labels", waiting: null, token: false };
const LOOK_AGAIN = 1500; // milliseconds, while a model loads and nobody waits for it

const legend = makeLegend(paint);
const stage = new Stage({ describe, onPoint });
const progress = makeProgress(() => state.waiting?.abort(new Trouble("cancelled", "The image was not labelled")));
find("stage").append(stage.element);
find("tools").append(...makeTools(stage, (layer) => { state.layer = layer; paint(); }));
find("aside").append(legend.element, makeDownloads(fetchAs, () => state.current.file.name));

/** A file that came in, whatever it is. */
async function open(file) {
  const signal = begin();
  const { body_bytes: most, pixels } = state.limits ?? {};
  if (file.size > most) return fail(new Trouble("large", `${file.name} has ${megabytes(file.size)}; this server takes at most ${megabytes(most)}`));
  const image = await readImage(file);
  if (signal.aborted) return undefined;
  if (image && image.width * image.height > pixels) return fail(new Trouble("large", `${file.name} has ${megapixels(image.width * image.height)}; this server takes at most ${megapixels(pixels)}`));
  if (image) show({ file, image, maps: null });
  return work({ file, image });
}

/** Label an image and show what comes of it. */
async function work({ file, image }) {
  const signal = begin();
  (image ? find("stage") : find("notices")).append(progress.element);
  const started = performance.now();
  try {
    if (!state.model) await refresh();
    const maps = await label(file, state.model, { refresh, say: progress.say, signal });
    show({ file, image, maps, model: state.model, seconds: (performance.now() - started) / 1000 });
    speak(`Labelled ${file.name}`);
  } catch (error) {
    fail(error, () => work({ file, image }), file.name);
  } finally {
    if (!signal.aborted || state.waiting?.signal === signal) progress.end();
  }
}

/** Stop what is under way; the signal of what comes now. */
function begin() {
  state.waiting?.abort(new DOMException("", "AbortError"));
  state.waiting = new AbortController();
  progress.end();
  clear();
  return state.waiting.signal;
}

function fail(error, again, name) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Trouble)) {
    complain(new Trouble("page", ""));
    throw error; // for the browser's console
  }
  if (error.kind === "token") askToken((token) => { keepToken(token); state.token = true; (again ?? start)(); }, state.token);
  else complain(error, again, name);
}

function show(current) {
  const { file, image, maps, model, seconds } = current;
  state.current = current;
  find("welcome").hidden = true;
  find("work").hidden = false;
  find("name").textContent = file.name;
  const size = maps ?? image;
  const facts = [`${size.width} \u00d7 ${size.height}`];
  find("work").classList.toggle("bare", !maps);
  find("tools").inert = !maps;
  if (maps) {
    const measured = measure(maps);
    state.classes = state.models.find(({ name }) => name === model).classes;
    legend.fill(measured, state.classes);
    const mean = measured.reduce((sum, row) => sum + row.share * row.confidence, 0);
    facts.push(model, `${seconds.toFixed(seconds < 10 ? 2 : 0)} s`, `mean confidence ${rounded(mean)}`);
    if (!image) facts.push("this browser cannot show the image itself");
  }
  find("facts").textContent = facts.join(" \u00b7 ");
  stage.show(image, maps);
  paint();
}

function paint() {
  const isAlone = legend.isAlone();
  stage.element.classList.toggle("alone", isAlone);
  stage.paintAs({ colours: state.classes.map(({ colour }) => colour), shows: legend.shows, isHeat: state.layer === "confidence", isAlone });
}

/** Class and confidence of a pixel. */
function at({ x, y }) {
  const { maps } = state.current;
  const place = y * maps.width + x;
  return { label: maps.labels[place], name: state.classes[maps.labels[place]].name, confidence: rounded(maps.confidence[place] / 255) };
}

function describe(pixel) {
  const { label: found, name, confidence } = at(pixel);
  return [swatch(state.classes[found].colour), make("strong", {}, name), make("span", {}, confidence)];
}

function onPoint(pixel, isSpoken) {
  legend.mark(pixel ? at(pixel).label : null);
  if (pixel && isSpoken) speak(`${at(pixel).name}, ${at(pixel).confidence}`);
}

async function fetchAs(format) {
  try {
    return await askFor(state.current.file, state.current.model, format);
  } catch (error) {
    fail(error);
    return null;
  }
}

/** The models as they are now. */
async function refresh() {
  const { models, default: first, limits } = await askModels();
  Object.assign(state, { models, limits, model: state.model ?? first });
  showModels(models, state.model, choose);
  find("knows").textContent = tellModel(models.find(({ name }) => name === state.model));
  find("limits").textContent = `JPEG, PNG, WebP, TIFF and others, at most ${megabytes(limits.body_bytes)} and ${megapixels(limits.pixels)}`;
  return models;
}

function choose(name) {
  state.model = name;
  find("knows").textContent = tellModel(state.models.find((model) => model.name === name));
  if (state.current) work(state.current);
}

async function showExamples() {
  const names = await askExamples();
  const files = await Promise.all(names.map(askExample));
  find("examples").hidden = files.length === 0;
  find("examples").querySelector(".thumbs").replaceChildren(...files.map((file) => make("button", { type: "button", click: () => { scrollTo({ top: 0 }); open(file); } },
    make("img", { src: URL.createObjectURL(file), alt: "" }), make("span", {}, file.name))));
}

async function start() {
  find("welcome").hidden = state.current !== null;
  try {
    await refresh();
    await showExamples();
  } catch (error) {
    fail(error, start);
    return;
  }
  document.documentElement.dataset.ready = "";
  while (state.models.some((model) => model.state === "loading")) {
    await new Promise((resolve) => { setTimeout(resolve, LOOK_AGAIN); });
    await refresh().catch(() => null);
  }
}

takeIn(open, (sentence) => complain(new Trouble("other", sentence)));
document.addEventListener("click", (event) => {
  const wish = event.target.closest("[data-does]")?.dataset.does;
  if (wish === "choose") find("file").click();
  if (wish === "photograph") photograph(open).catch(fail);
});
start();
