// What is taken for what: the confusion matrix as a heat map that can be questioned, and its largest cells in words.

const NAMED = 40; // classes whose names fit beside the matrix
const WRITTEN = 30; // pixels of a cell that holds its number
const TOP = 10; // confusions in words

function showConfusion() {
  const { matrix } = content;
  const truths = matrix.map((row) => row.reduce((sum, pixels) => sum + pixels, 0));
  const answers = matrix.map((_, place) => matrix.reduce((sum, row) => sum + row[place], 0));
  const shown = matrix.map((_, place) => place).filter((place) => truths[place] + answers[place] > 0);
  const left = classes.length - shown.length;
  const lead = "Rows are the true classes, columns what their pixels were labelled as; each row adds up to 100 %."
    + `${left ? ` ${count(left, "class", "classes")} in neither ${left === 1 ? "is" : "are"} left out.` : ""}`;
  section("confusion", "Confusions", lead, make("div", { class: "wide-left" },
    heatMap(matrix, truths, shown), largest(matrix, truths)));
}

function heatMap(matrix, truths, shown) {
  const canvas = make("canvas", { tabindex: "0", role: "img", "aria-label": "Confusion matrix; arrow keys move from cell to cell" });
  const host = make("div", { class: "matrix" }, canvas);
  const said = make("p", { class: "said", "aria-live": "polite" }, "Point at a cell, or move with the arrow keys.");
  let plan = null;
  let cell = null;

  const draw = (width) => { plan = drawMatrix(canvas, width, matrix, truths, shown, cell); };
  const describe = () => {
    const [row, column] = cell.map((place) => shown[place]);
    const pixels = matrix[row][column];
    const share = truths[row] ? `${fine(pixels / truths[row])} %` : "never true";
    const parts = ["true ", labelled(row), row === column ? " labelled as such: " : " labelled as ", row === column ? null : labelled(column), row === column ? null : ": ",
      make("strong", {}, share), ` (${count(pixels, "pixel")})`];
    return make("span", {}, parts);
  };
  const visit = (row, column) => {
    const most = shown.length - 1;
    cell = [Math.max(0, Math.min(most, row)), Math.max(0, Math.min(most, column))];
    said.replaceChildren(describe());
    draw(host.clientWidth);
  };
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - plan.left) / plan.side);
    const row = Math.floor((event.clientY - box.top - plan.top) / plan.side);
    if (Math.min(row, column) < 0 || Math.max(row, column) >= shown.length) return hideTip();
    if (!cell || cell[0] !== row || cell[1] !== column) visit(row, column);
    if (event.pointerType === "mouse") showTip(event.clientX, event.clientY, describe());
    return undefined;
  };
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [row, column] = cell ?? [0, 0];
    visit(row + (cell ? step[0] : 0), column + (cell ? step[1] : 0));
  });
  repaint(host, draw);
  return make("div", {}, host, said);
}

/** Draw the matrix into a width; gives where its cells are. */
function drawMatrix(canvas, width, matrix, truths, shown, cell) {
  const number = shown.length;
  const pen = canvas.getContext("2d");
  const isNamed = number <= NAMED;
  const font = `${number > 24 ? 11 : 13}px ${getComputedStyle(document.body).fontFamily}`;
  pen.font = font;
  const room = isNamed ? Math.min(width < 480 ? 84 : 140, 10 + Math.max(...shown.map((place) => pen.measureText(classes[place].name).width))) : 0;
  const side = Math.max(1, Math.min(52, (width - room) / number));
  const plan = { left: room, top: room, side };
  sharpen(canvas, pen, Math.ceil(room + side * number) + 1);
  const colours = { right: ink("accent"), wrong: ink("wrong"), faint: ink("faint"), paper: ink("paper"), text: ink("ink"), empty: ink("soft") };
  shown.forEach((truth, row) => shown.forEach((label, column) => {
    const x = plan.left + column * side;
    const y = plan.top + row * side;
    const share = truths[truth] ? matrix[truth][label] / truths[truth] : 0;
    pen.globalAlpha = 1;
    pen.fillStyle = colours.empty;
    const gap = side > 12 ? 1 : 0;
    pen.fillRect(x, y, side - gap, side - gap);
    if (share > 0) {
      pen.globalAlpha = Math.min(1, 0.04 + 0.96 * Math.sqrt(share));
      pen.fillStyle = truth === label ? colours.right : colours.wrong;
      pen.fillRect(x, y, side - gap, side - gap);
    }
    if (side >= WRITTEN && share >= 0.005) writeShare(pen, share, x + side / 2, y + side / 2, colours);
  }));
  pen.globalAlpha = 1;
  if (isNamed) writeNames(pen, plan, shown, font, colours);
  if (cell) {
    pen.strokeStyle = colours.text;
    pen.lineWidth = 2;
    pen.strokeRect(plan.left + cell[1] * side - 0.5, plan.top + cell[0] * side - 0.5, Math.max(4, side), Math.max(4, side));
  }
  return plan;
}

/** As many pixels as the screen has. */
function sharpen(canvas, pen, side) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = canvas.height = Math.round(side * ratio);
  canvas.style.width = canvas.style.height = `${side}px`;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
}

function writeShare(pen, share, x, y, colours) {
  pen.globalAlpha = 1;
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillStyle = share > 0.3 ? colours.paper : colours.text;
  pen.fillText(percent(share, 0), x, y);
}

function writeNames(pen, { left, top, side }, shown, font, colours) {
  pen.font = font;
  pen.textBaseline = "middle";
  pen.fillStyle = colours.text;
  shown.forEach((place, index) => {
    const name = shorten(pen, classes[place].name, left - 8);
    pen.textAlign = "right";
    pen.fillText(name, left - 8, top + (index + 0.5) * side);
    pen.save();
    pen.translate(left + (index + 0.5) * side, top - 8);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "left";
    pen.fillText(name, 0, 0);
    pen.restore();
  });
}

function shorten(pen, name, room) {
  if (pen.measureText(name).width <= room) return name;
  let kept = name;
  while (kept.length > 1 && pen.measureText(`${kept}\u2026`).width > room) kept = kept.slice(0, -1);
  return `${kept}\u2026`;
}

function largest(matrix, truths) {
  const cells = matrix.flatMap((row, truth) => row.map((pixels, label) => ({ truth, label, pixels, share: truths[truth] ? pixels / truths[truth] : 0 })))
    .filter(({ truth, label, pixels }) => truth !== label && pixels > 0);
  const list = make("ol", { class: "words" });
  const arrange = (key) => list.replaceChildren(...cells.sort((one, other) => other[key] - one[key]).slice(0, TOP).map(({ truth, label, pixels, share }) =>
    make("li", {}, make("span", {}, "true ", labelled(truth), " labelled as ", labelled(label)),
      make("span", { class: "amount" }, `${fine(share)} %`, make("small", {}, count(pixels, "pixel"))))));
  arrange("pixels");
  return make("div", {}, make("h3", {}, cells.length ? "The largest, in words" : "Nothing is confused"),
    cells.length ? choice("order", "Order of the confusions", { pixels: "by pixels", share: "by share of the class" }, "pixels", arrange) : null, list);
}
