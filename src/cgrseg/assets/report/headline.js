// The top of the page: the score and how sure it is, what was scored on what, and the difference to other weights.

const VERSIONS = ["cgrseg", "python", "torch", "numpy"]; // of what always runs; an engine's own is shown with it
const SHOWN_ELSEWHERE = ["weights", "data", "split", "pictures", "protocol", "miou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou", "picture_miou"];

function showHeadline() {
  const { weights, data, split } = content.title;
  document.getElementById("top").append(
    make("p", { class: "kicker" }, "Evaluation report"),
    make("h1", {}, weights, make("span", {}, ` on ${data} ${split}`)),
    make("div", { class: "headline" }, mainScore(), make("dl", { class: "scores" }, sideScores().map(([name, value, unit, means]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, make("strong", {}, value, unit ? make("small", {}, unit) : null), make("span", {}, means)))))),
    facts(),
  );
}

function mainScore() {
  const score = make("div", { class: "score" },
    make("p", { class: "name" }, "mean IoU"),
    make("p", { class: "value", id: "miou" }, percent(report.miou), make("small", {}, "%")));
  const ends = report.miou_interval;
  if (!ends) return score;
  const level = Math.round(100 * report.bootstrap.level);
  score.append(make("p", { class: "sure" }, `${level} % interval ${percent(ends[0])} to ${percent(ends[1])}`,
    make("span", {}, "over other samples of such images")), classScale(ends));
  return score;
}

/** From 0 to 100 %: a stroke for each class, and the mean with its interval above them. */
function classScale(ends) {
  const strokes = classes.filter(({ iou }) => iou !== null).map(({ name, iou, colour }) =>
    tell(make("i", { class: "stroke", style: `left:${100 * iou}%;background:${css(colour)}` }), name, `IoU ${percent(iou)} %`));
  return make("div", { class: "scale", "aria-hidden": "true" },
    make("div", { class: strokes.length > 40 ? "strokes thin" : "strokes" }, strokes),
    make("i", { class: "range", style: `left:${100 * ends[0]}%;width:${100 * (ends[1] - ends[0])}%` }),
    make("i", { class: "point", style: `left:${100 * report.miou}%` }),
    make("p", {}, make("span", {}, "0"), make("span", {}, "IoU of each class, and their mean"), make("span", {}, "100 %")));
}

function sideScores() {
  const found = [
    ["Pixel accuracy", percent(report.pixel_accuracy), "%", "of the labelled pixels are right"],
    ["Mean accuracy", percent(report.mean_accuracy), "%", "of a class\u2019s pixels are right, on average"],
    ["Frequency-weighted IoU", percent(report.frequency_weighted_iou), "%", "each class weighs as much as its pixels"],
    ["Mean over images", percent(report.picture_miou), "%", spanOf(report.picture_miou_interval) ?? "each weighs the same"],
  ];
  if (report.boundary) found.push(["Boundary IoU", percent(report.boundary.miou), "%", "mean IoU along the edges of the classes"]);
  if (report.calibration) {
    found.push(["Calibration error", percent(report.calibration.expected_calibration_error), "%", "how far confidence is from accuracy; less is better"]);
  }
  return found;
}

function spanOf(ends) {
  return ends ? `${percent(ends[0])} to ${percent(ends[1])}; each weighs the same` : null;
}

function facts() {
  const { conditions } = content;
  const { machine } = conditions;
  const threads = conditions.threads ? count(conditions.threads, "thread") : `${count(machine.cores, "core")}`;
  const used = Object.entries(machine.versions).filter(([name]) => VERSIONS.includes(name) || `${conditions.engine}runtime`.includes(name));
  const versions = used.map(([name, version]) => `${name} ${version}`).join(", ");
  const known = [
    ["Weights", report.weights],
    ["Data", `${content.title.data} ${report.split}, ${count(report.pictures, "image")}`],
    ["Protocol", report.protocol],
    ["Engine", `${conditions.engine}, ${threads}`],
    ["Processor", `${machine.processor}, ${machine.system}`],
    ["Time", content.pictures.length ? `${conditions.seconds_a_picture.toPrecision(2)} s an image (median of the ${content.pictures.length} shown)` : DASH],
    ["Versions", versions + (machine.commit ? `, commit ${machine.commit}` : "")],
    ...otherFacts(),
    ["Date", conditions.date.replace("T", " ").replace("+00:00", " UTC")],
  ];
  const list = make("dl", { class: "facts" }, known.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  if (!conditions.command) return list;
  return make("div", {}, list, make("div", { class: "command" }, make("code", { tabindex: "0" }, conditions.command), copyButton(conditions.command)));
}

/** Whatever else the evaluation says of itself in one value, under its own name. */
function otherFacts() {
  const isPlain = (value) => ["string", "number", "boolean"].includes(typeof value);
  const shown = (value) => String(typeof value === "number" ? Number(value.toPrecision(4)) : value);
  return Object.entries(report).filter(([key, value]) => !SHOWN_ELSEWHERE.includes(key) && isPlain(value))
    .map(([key, value]) => [key[0].toUpperCase() + key.slice(1).replaceAll("_", " "), shown(value)]);
}

function copyButton(text) {
  const button = make("button", { type: "button", click: async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(button.previousElementSibling);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  } }, "Copy");
  return button;
}

function showComparison() {
  const found = report.comparison;
  if (!found) return;
  const ends = found.miou_interval;
  const isClear = ends && (ends[0] > 0 || ends[1] < 0);
  const verdict = !ends ? "Nothing is labelled, so there is nothing to compare."
    : isClear ? "Zero lies outside the interval: the choice of images hardly explains the difference."
      : "Zero lies inside the interval: another choice of images could turn the difference around.";
  const rows = [["mean IoU", found.miou, found.miou_interval], ["mean over images", found.picture_miou, found.picture_miou_interval]];
  section("comparison", "Against other weights", make("span", {}, "Points gained over ", make("strong", {}, report.against.weights),
    ` (mean IoU ${percent(report.against.miou)} %) on the same images. ${verdict}`),
  make("div", { class: "pair" },
    make("dl", { class: "gains" }, rows.filter(([, value]) => value !== null).map(([name, value, span]) => make("div", {},
      make("dt", {}, name), make("dd", { class: value < 0 ? "loss" : "gain" }, make("strong", {}, points(value, 2)),
        make("span", {}, span ? `95 % interval ${points(span[0], 2)} to ${points(span[1], 2)}` : "")))),
    make("div", {}, make("dt", {}, "images"), make("dd", {}, make("strong", {}, `${found.better} : ${found.worse}`),
      make("span", {}, `better : worse${found.equal ? `, ${found.equal} equal` : ""}`)))),
    gainChart()));
}

/** The gain of each image, the largest loss first. */
function gainChart() {
  const gains = Object.entries(report.picture_mious)
    .map(([name, value]) => ({ name, value, gain: value - report.against.picture_mious[name] }))
    .filter(({ value }) => value !== null).sort((one, other) => one.gain - other.gain);
  return figure("Gain of each image", "Points of the image\u2019s own mean IoU; images in order of gain.", 0.5, (width, height) => {
    const most = Math.max(0.01, ...gains.map(({ gain }) => Math.abs(gain)));
    const y = { ...shares("points", -most, most, 4), format: (value) => points(value, most < 0.05 ? 1 : 0) };
    const { svg, across, up } = axes(width, height, "Gain of each image", whole("images, in order", 0, gains.length), y);
    const room = across(1) - across(0);
    gains.forEach(({ name, gain }, place) => {
      const [top, bottom] = gain > 0 ? [up(gain), up(0)] : [up(0), up(gain)];
      svg.append(tell(make("svg:rect", { class: gain < 0 ? "loss" : "gain", x: across(place), width: Math.max(0.8, room - 0.6), y: top, height: Math.max(1, bottom - top) }),
        name, `${points(gain)} points`));
    });
    return svg;
  });
}
