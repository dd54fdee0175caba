// The table of the classes: sorted by any column, filtered by name.

const ROWS = 30; // shown before one asks for all
const MANY = 20; // classes that are worth a filter

function columns() {
  const share = (key, digits = 1) => (row) => percent(row[key], digits);
  const all = [
    { key: "name", title: "Class", text: (row) => row.name },
    { key: "iou", title: "IoU, %", text: share("iou"), mean: report.miou },
    { key: "boundary_iou", title: "Boundary IoU", text: share("boundary_iou"), mean: report.boundary?.miou, skip: !report.boundary },
    { key: "recall", title: "Recall", text: share("recall"), mean: report.mean_accuracy, help: "share of its true pixels that were found (accuracy)" },
    { key: "precision", title: "Precision", text: share("precision"), help: "share of the pixels labelled as it that are it" },
    { key: "share", title: "Of pixels", text: share("share", 2), help: "share of the labelled pixels" },
    { key: "pictures", title: "Images", text: (row) => count(row.pictures), help: "images in whose truth it occurs" },
    { key: "against_iou", title: "Against", text: share("against_iou"), mean: report.against?.miou, skip: !report.against },
    { key: "gain", title: "Gain", text: (row) => points(row.gain), mean: report.comparison?.miou, skip: !report.against },
  ];
  return all.filter(({ skip }) => !skip);
}

function showClasses() {
  const shown = columns();
  const body = make("tbody");
  const table = make("table", { class: "classes short" });
  const absent = classes.filter(({ iou }) => iou === null).length;
  const all = make("button", { type: "button", class: "all", click: () => { table.classList.remove("short"); all.hidden = true; } }, `Show all ${classes.length} classes`);
  const state = { key: "", isRising: true, words: "" };
  const rows = classes.map((row) => ({ row, element: classRow(row, shown) }));

  function arrange() {
    const found = rows.filter(({ row }) => row.name.toLowerCase().includes(state.words));
    if (state.key) found.sort((one, other) => compareRows(one.row, other.row, state));
    found.forEach(({ element }, place) => element.classList.toggle("beyond", place >= ROWS));
    body.replaceChildren(...found.map(({ element }) => element));
    if (found.length === 0) body.append(make("tr", {}, make("td", { colspan: shown.length, class: "none" }, "No class has this in its name.")));
    all.hidden = !table.classList.contains("short") || found.length <= ROWS;
    table.querySelectorAll("thead th").forEach((head) => {
      head.setAttribute("aria-sort", head.dataset.key === state.key ? (state.isRising ? "ascending" : "descending") : "none");
    });
  }

  const heads = shown.map(({ key, title, help }) => make("th", { scope: "col", "data-key": key }, make("button", { type: "button", title: help, click: () => {
    state.isRising = state.key === key ? !state.isRising : key === "name";
    state.key = key;
    arrange();
  } }, title)));
  table.append(make("caption", { class: "unseen" }, "Scores of each class"), make("thead", {}, make("tr", {}, heads)), body, meanRow(shown));
  const filter = make("input", { type: "search", placeholder: `Filter ${classes.length} classes`, "aria-label": "Filter classes by name", input: (event) => {
    state.words = event.target.value.trim().toLowerCase();
    arrange();
  } });
  const lead = `How well each class is met, in percent; a click on a heading sorts.${absent ? ` ${count(absent, "class is", "classes are")} in neither truth nor prediction and not counted in the mean.` : ""}`;
  section("classes", "Classes", lead, classes.length > MANY ? make("div", { class: "tools" }, filter) : null,
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of the classes" }, table), all);
  arrange();
}

function classRow(row, shown) {
  const place = classes.indexOf(row);
  return make("tr", { class: row.iou === null ? "absent" : null }, shown.map(({ key, text }) => {
    if (key === "name") return make("th", { scope: "row" }, labelled(place));
    if (key === "iou" && row.iou === null) return make("td", { class: "iou" }, "absent");
    if (key === "iou") {
      const bar = make("span", { class: "bar", "aria-hidden": "true" }, make("i", { style: `width:${100 * row.iou}%;background:${css(row.colour)}` }));
      return make("td", { class: "iou" }, make("div", {}, bar, make("span", {}, text(row))));
    }
    const sign = key === "gain" ? { "+": "gain", "\u2212": "loss" }[text(row)[0]] : null;
    return make("td", { class: sign }, row.iou === null && key !== "pictures" ? DASH : text(row));
  }));
}

function meanRow(shown) {
  return make("tfoot", {}, make("tr", {}, shown.map(({ key, mean }) => {
    if (key === "name") return make("th", { scope: "row" }, "Mean");
    return make("td", { class: key === "iou" ? "iou" : null }, mean === undefined ? "" : key === "gain" ? points(mean) : percent(mean));
  })));
}

/** Classes without a value come last, whichever way the rest goes. */
function compareRows(one, other, { key, isRising }) {
  const [first, second] = [one[key], other[key]];
  if (first === null || second === null) return (first === null) - (second === null);
  const order = typeof first === "string" ? first.localeCompare(second) : first - second;
  return isRising ? order : -order;
}
