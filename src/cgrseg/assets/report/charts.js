// Axes and lines as SVG, drawn anew for each width so that text keeps its size.

const MARGIN = { left: 48, right: 14, top: 12, bottom: 44 };

/** A figure with a caption whose drawing follows its width. */
function figure(title, caption, ratio, paint) {
  const host = make("div", { class: "plot" });
  repaint(host, (width) => host.replaceChildren(paint(width, Math.round(Math.max(220, Math.min(width * ratio, 420))))));
  return make("figure", {}, make("h3", {}, title), host, make("figcaption", {}, caption));
}

/** An SVG with axes; `x` and `y` are {from, to, ticks, format, label}. Gives it and the places of values on it. */
function axes(width, height, description, x, y) {
  const svg = make("svg:svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": description });
  const bottom = height - MARGIN.bottom;
  const across = (value) => MARGIN.left + ((value - x.from) / (x.to - x.from || 1)) * (width - MARGIN.left - MARGIN.right);
  const up = (value) => bottom - ((value - y.from) / (y.to - y.from || 1)) * (bottom - MARGIN.top);
  for (const tick of y.ticks) {
    svg.append(make("svg:line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: up(tick), y2: up(tick) }));
    svg.append(make("svg:text", { class: "tick", x: MARGIN.left - 8, y: up(tick) + 4, "text-anchor": "end" }, y.format(tick)));
  }
  x.ticks.forEach((tick, place) => {
    const anchor = place === x.ticks.length - 1 && across(tick) > width - 30 ? "end" : "middle";
    svg.append(make("svg:text", { class: "tick", x: across(tick), y: bottom + 18, "text-anchor": anchor }, x.format(tick)));
  });
  svg.append(make("svg:line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom }));
  svg.append(make("svg:text", { class: "name", x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 6, "text-anchor": "middle" }, x.label));
  const middle = (MARGIN.top + bottom) / 2;
  svg.append(make("svg:text", { class: "name", x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, y.label));
  return { svg, across, up, bottom };
}

function line(pairs, kind = "line") {
  return make("svg:path", { class: kind, d: pairs.map(([x, y], place) => `${place ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("") });
}

/** About so many round numbers that lie between two. */
function ticks(from, to, about = 5) {
  const rough = (to - from || 1) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const found = [];
  for (let tick = Math.ceil(from / step - 1e-9) || 0; tick * step <= to + step * 1e-6; tick += 1) found.push(tick * step);
  return found;
}

/** An axis of shares as percent. */
function shares(label, from = 0, to = 1, about = 5) {
  const found = ticks(from, to, about);
  const step = found.length > 1 ? found[1] - found[0] : 1;
  return { from, to, ticks: found, format: (value) => (100 * value).toFixed(step < 0.0099 ? 1 : 0), label };
}

function whole(label, from, to, about = 5) {
  return { from, to, ticks: ticks(from, to, about).filter(Number.isInteger), format: (value) => value.toLocaleString("en"), label };
}

/** Tell what is nearest to the pointer along x; `lines` gives the text of a point. */
function tellNearest(svg, places, heights, lines) {
  const mark = make("svg:circle", { class: "mark", r: 5, visibility: "hidden" });
  svg.append(mark);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    let best = 0;
    places.forEach((place, index) => {
      if (Math.abs(place - x) < Math.abs(places[best] - x)) best = index;
    });
    mark.setAttribute("cx", places[best]);
    mark.setAttribute("cy", heights[best]);
    mark.setAttribute("visibility", "visible");
    showTip(event.clientX, event.clientY, ...lines(best));
  });
  svg.addEventListener("pointerleave", () => {
    mark.setAttribute("visibility", "hidden");
    hideTip();
  });
}
