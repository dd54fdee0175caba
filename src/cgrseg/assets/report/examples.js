// The worst and the best images: layers over the photo, and what lies under the pointer in words.

const LAYERS = { image: "Image", truth: "Truth", labels: "Prediction", errors: "Errors", confidence: "Confidence" };
const TILES = ["truth", "labels", "errors", "confidence"];
const UNLABELLED = 255;
const RAMP = [[250, 226, 120], [231, 120, 74], [158, 52, 110], [52, 28, 98]]; // from unsure to sure

function showImages() {
  if (content.pictures.length === 0) return;
  if (!("DecompressionStream" in window)) {
    section("images", "Images", "This browser is too old to unpack them; one of 2023 or later is needed.");
    return;
  }
  const viewer = makeViewer();
  const groups = { worst: "The worst", best: "The best" };
  const strips = Object.entries(groups).map(([group, title]) => {
    const members = content.pictures.filter((example) => example.group === group);
    return members.length ? make("div", { class: "strip" }, make("h3", {}, title), make("div", { class: "thumbs" }, members.map((example) => thumb(example, viewer)))) : null;
  });
  section("images", "Images", "Those with the lowest and the highest mean IoU of their own. Point at one to read its classes.",
    strips, viewer.element, imageChart());
  document.querySelector(".thumbs button").click();
}

function thumb(example, viewer) {
  const button = make("button", { type: "button", "aria-pressed": "false", title: example.name, click: () => {
    document.querySelectorAll(".thumbs button").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    viewer.show(example);
  } }, make("img", { src: example.image, alt: example.name, width: example.width, height: example.height, decoding: "async" }), make("span", {}, `${percent(example.miou)} %`));
  return button;
}

/** The class numbers or percents of a map; each was stored less its left neighbour. */
async function unpack(packed, height, width) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const values = new Uint8Array(await new Response(stream).arrayBuffer());
  for (let row = 0; row < height; row += 1) {
    for (let place = row * width + 1; place < (row + 1) * width; place += 1) values[place] += values[place - 1];
  }
  return values;
}

function makeViewer() {
  const state = { example: null, maps: null, asked: null, layer: "labels", opacity: 0.6, only: null, at: null };
  const stage = make("div", { class: "stage" });
  const said = make("p", { class: "said", "aria-live": "polite" });
  const about = make("div", { class: "about" });
  const slider = make("input", { type: "range", min: "0", max: "100", value: String(100 * state.opacity), input: () => {
    state.opacity = slider.value / 100;
    stage.querySelectorAll("canvas").forEach((canvas) => { canvas.style.opacity = state.opacity; });
  } });
  const layers = choice("layer", "Layer", { ...LAYERS, tiles: "Side by side" }, state.layer, (layer) => { state.layer = layer; build(); });

  function build() {
    const shown = state.layer === "tiles" ? TILES : [state.layer];
    stage.classList.toggle("tiles", shown.length > 1);
    stage.replaceChildren(...shown.map((layer) => makePane(state, layer, point)));
    slider.disabled = state.layer === "image";
    point(state.at);
  }

  function point(at) {
    state.at = at;
    stage.querySelectorAll(".cross").forEach((cross) => {
      cross.hidden = !at;
      if (at) cross.style.cssText = `left:${(100 * (at[0] + 0.5)) / state.example.width}%;top:${(100 * (at[1] + 0.5)) / state.example.height}%`;
    });
    said.replaceChildren(...(at ? wordsAt(state, at) : ["Point at the image, or move over it with the arrow keys."]));
  }

  async function show(example) {
    state.asked = example;
    const maps = await Promise.all(["truth", "labels", "confidence"].map((name) => unpack(example[name], example.height, example.width)));
    if (state.asked !== example) return; // another was clicked meanwhile
    Object.assign(state, { example, maps: { truth: maps[0], labels: maps[1], confidence: maps[2] }, only: null, at: null });
    about.replaceChildren(...describeImage(example, (only) => { state.only = only; build(); }));
    build();
  }

  const tools = make("div", { class: "tools" }, layers, make("label", { class: "opacity" }, "Opacity", slider));
  return { show, element: make("div", { class: "viewer" }, tools, make("div", { class: "wide-left" }, make("div", {}, stage, said), about)) };
}

/** The photo under one layer. */
function makePane(state, layer, point) {
  const { example } = state;
  const canvas = make("canvas", { width: example.width, height: example.height, tabindex: "0", role: "img", "data-layer": layer,
    "aria-label": `${LAYERS[layer]} of ${example.name}; arrow keys move over it`, style: `opacity:${layer === "image" ? 0 : state.opacity}` });
  if (layer !== "image") canvas.getContext("2d").putImageData(paintLayer(state, layer), 0, 0);
  const find = (event) => {
    const box = canvas.getBoundingClientRect();
    const clamp = (value, most) => Math.max(0, Math.min(most - 1, Math.floor(value)));
    point([clamp(((event.clientX - box.left) / box.width) * example.width, example.width), clamp(((event.clientY - box.top) / box.height) * example.height, example.height)]);
  };
  canvas.addEventListener("pointermove", find);
  canvas.addEventListener("pointerdown", find);
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [x, y] = state.at ?? [example.width >> 1, example.height >> 1];
    const pace = event.shiftKey ? 1 : 8;
    point([Math.max(0, Math.min(example.width - 1, x + pace * step[0])), Math.max(0, Math.min(example.height - 1, y + pace * step[1]))]);
  });
  return make("figure", { class: "pane" }, make("div", {}, make("img", { src: example.image, alt: "" }), canvas, make("i", { class: "cross", hidden: true })),
    make("figcaption", {}, LAYERS[layer], layer === "confidence" ? make("span", { class: "ramp" }, "0 %", make("i"), "100 %") : null,
      layer === "errors" ? make("span", { class: "key" }, make("i", { class: "wrong" }), "wrong", make("i", { class: "hatch" }), "not labelled") : null));
}

/** The colours of a layer, one for each pixel. */
function paintLayer(state, layer) {
  const { width, height } = state.example;
  const { truth, labels, confidence } = state.maps;
  const drawn = new ImageData(width, height);
  const words = new Uint32Array(drawn.data.buffer);
  const of = ([red, green, blue], opacity = 255) => ((opacity << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  const colours = classes.map(({ colour }, place) => of(colour, state.only === null || state.only === place ? 255 : 30));
  const ramp = Array.from({ length: 101 }, (_, value) => of(rampAt(value / 100)));
  const [wrong, right, dark, light] = [of([214, 57, 39]), of([255, 255, 255], 90), of([20, 20, 20], 200), of([235, 235, 235], 200)];
  const hatch = (place) => (((place % width) + Math.floor(place / width)) % 8 < 2 ? light : dark);
  for (let place = 0; place < words.length; place += 1) {
    const isKnown = truth[place] !== UNLABELLED;
    if (layer === "truth") words[place] = isKnown ? colours[truth[place]] : hatch(place);
    else if (layer === "labels") words[place] = colours[labels[place]];
    else if (layer === "confidence") words[place] = ramp[Math.min(100, confidence[place])];
    else words[place] = !isKnown ? hatch(place) : labels[place] === truth[place] ? right : wrong;
  }
  return drawn;
}

function rampAt(share) {
  const place = Math.min(share * (RAMP.length - 1), RAMP.length - 1.0001);
  const [low, part] = [Math.floor(place), place - Math.floor(place)];
  return RAMP[low].map((value, channel) => Math.round(value + part * (RAMP[low + 1][channel] - value)));
}

function wordsAt({ example, maps }, [x, y]) {
  const place = y * example.width + x;
  const [truth, label] = [maps.truth[place], maps.labels[place]];
  const isRight = truth === label;
  const verdict = truth === UNLABELLED ? null : make("span", { class: isRight ? "right" : "wrong" }, isRight ? "right" : "wrong");
  return [make("span", {}, make("small", {}, "truth"), truth === UNLABELLED ? make("em", {}, "not labelled") : labelled(truth)),
    make("span", {}, make("small", {}, "prediction"), labelled(label)),
    make("span", {}, make("small", {}, "confidence"), `${maps.confidence[place]} %`), verdict].filter(Boolean);
}

/** Beside the image: its name and score, what went wrong, and its classes, each of which can be shown alone. */
function describeImage(example, showOnly) {
  const mistakes = example.mistakes.map(({ truth, label, pixels }) => make("li", {},
    make("span", {}, labelled(truth), " taken for ", labelled(label)), make("span", { class: "amount" }, `${fine(pixels / example.labelled)} %`)));
  const chips = [...example.iou].sort((one, other) => one[1] - other[1]).map(([place, iou]) => {
    const chip = make("button", { type: "button", class: "chip", "aria-pressed": "false", click: () => {
      const isOn = chip.getAttribute("aria-pressed") === "true";
      chip.parentElement.querySelectorAll("button").forEach((other) => other.setAttribute("aria-pressed", "false"));
      chip.setAttribute("aria-pressed", String(!isOn));
      showOnly(isOn ? null : place);
    } }, labelled(place), make("span", { class: "amount" }, percent(iou, 0)));
    return chip;
  });
  return [make("h3", { class: "file" }, example.name), make("p", { class: "own" }, make("strong", {}, percent(example.miou)), " % mean IoU of its own"),
    make("h4", {}, mistakes.length ? "What went wrong" : "Nothing went wrong"), make("ol", { class: "words" }, mistakes),
    mistakes.length ? make("p", { class: "note" }, "in percent of its labelled pixels") : null,
    make("h4", {}, "IoU of its classes, %"), make("div", { class: "chips" }, chips)];
}
