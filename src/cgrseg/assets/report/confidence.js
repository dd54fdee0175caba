// Whether confidence is earned, what dropping the least sure pixels would give, and how the images differ.

function showConfidence() {
  if (!report.calibration) return;
  const bins = report.calibration.bins.filter(({ pixels }) => pixels > 0);
  if (bins.length === 0) return;
  const total = bins.reduce((sum, { pixels }) => sum + pixels, 0);
  const error = percent(report.calibration.expected_calibration_error, 2);
  section("confidence", "Confidence", `Of the pixels labelled with 80 % confidence, are 80 % right? The expected calibration error is ${error} %.`,
    make("div", { class: "pair" }, reliabilityChart(bins, total), coverageChart(bins, total)), calibrated());
}

/** What the temperature that was fitted does to the calibration error: on all images, and across halves of them. */
function calibrated() {
  const found = report.calibrated;
  if (!found) return null;
  const [first, second] = found.halves;
  const rows = [
    ["All images", found, "fitted on the same images, which flatters"],
    ["Second half", first, "fitted on the first half"],
    ["First half", second, "fitted on the second half"],
  ];
  return make("div", { class: "calibrated" }, make("h3", {}, "Calibrated"),
    make("p", { class: "lead" }, "Divided by a temperature of ", make("strong", {}, found.temperature.toFixed(3)),
      ` instead of ${report.temperature.toFixed(3)}, logits give the same labels with other confidence. `,
      found.file ? ["The weights with it are in ", make("strong", {}, found.file), ". "] : null,
      "The calibration error, before and after:"),
    make("dl", { class: "gains" }, rows.map(([name, { before, after, temperature }, how]) => make("div", {},
      make("dt", {}, name),
      make("dd", { class: after > before ? "loss" : "gain" }, make("strong", {}, `${percent(before, 2)} \u2192 ${percent(after, 2)} %`),
        make("span", {}, `temperature ${temperature.toFixed(3)}, ${how}`))))));
}

function reliabilityChart(bins, total) {
  const after = report.calibrated?.bins.filter(({ pixels }) => pixels > 0) ?? [];
  const dashed = after.length ? " Dashed: with the temperature that was fitted." : "";
  const caption = `Dots: accuracy of the pixels in each bin of confidence; on the diagonal confidence is earned, below it is too high. Bars: share of the pixels in the bin.${dashed}`;
  return figure("Accuracy against confidence", caption, 0.85, (width, height) => {
    const { svg, across, up, bottom } = axes(width, height, "Accuracy against confidence", shares("confidence, %"), shares("accuracy, %"));
    svg.append(make("svg:line", { class: "ideal", x1: across(0), y1: up(0), x2: across(1), y2: up(1) }));
    for (const { above, up_to: upTo, pixels } of bins) {
      const top = up(pixels / total);
      svg.append(make("svg:rect", { class: "amount", x: across(above) + 1, width: across(upTo) - across(above) - 2, y: top, height: Math.max(0, bottom - top) }));
    }
    const places = bins.map(({ confidence }) => across(confidence));
    const heights = bins.map(({ accuracy }) => up(accuracy));
    svg.append(line(bins.map((_, place) => [places[place], heights[place]])));
    if (after.length) svg.append(line(after.map(({ confidence, accuracy }) => [across(confidence), up(accuracy)]), "line after"));
    bins.forEach((_, place) => svg.append(make("svg:circle", { class: "dot", cx: places[place], cy: heights[place], r: 3.5 })));
    tellNearest(svg, places, heights, (place) => {
      const { above, up_to: upTo, pixels, accuracy, confidence } = bins[place];
      return [`confidence ${percent(above, 0)} to ${percent(upTo, 0)} %`, `mean ${percent(confidence)} %, accuracy ${percent(accuracy)} %`, `${fine(pixels / total)} % of the pixels`];
    });
    return svg;
  });
}

function coverageChart(bins, total) {
  let kept = 0;
  let right = 0;
  const curve = [...bins].reverse().map(({ above, pixels, accuracy }) => {
    kept += pixels;
    right += pixels * accuracy;
    return { above, kept: kept / total, accuracy: right / kept };
  });
  const lowest = Math.min(...curve.map(({ accuracy }) => accuracy));
  const start = Math.max(0, Math.floor(10 * curve[0].kept - 0.5) / 10);
  const floor = Math.max(0, Math.floor(20 * (lowest - 0.01)) / 20);
  const caption = "Accuracy of the pixels that are left when the least confident are dropped; one dot for each bin of confidence.";
  return figure("Accuracy of the surest pixels", caption, 0.85, (width, height) => {
    const { svg, across, up } = axes(width, height, "Accuracy against share of pixels kept", shares("pixels kept, %", start, 1), shares("accuracy, %", floor, 1));
    const places = curve.map((point) => across(point.kept));
    const heights = curve.map((point) => up(point.accuracy));
    svg.append(line(curve.map((_, place) => [places[place], heights[place]])));
    curve.forEach((_, place) => svg.append(make("svg:circle", { class: "dot", cx: places[place], cy: heights[place], r: 3.5 })));
    tellNearest(svg, places, heights, (place) => [`confidence above ${percent(curve[place].above, 0)} %`,
      `${percent(curve[place].kept)} % of the pixels, ${percent(curve[place].accuracy)} % right`]);
    return svg;
  });
}

/** Every image's own mIoU, in order. */
function imageChart() {
  const ranked = Object.entries(report.picture_mious).filter(([, miou]) => miou !== null).sort((one, other) => one[1] - other[1]);
  if (ranked.length < 2) return null;
  const middle = ranked[Math.floor(ranked.length / 2)][1];
  const caption = `Each image\u2019s own mean IoU, the worst first; half of them are above ${percent(middle)} %.`;
  return figure("All images", caption, 0.26, (width, height) => {
    const { svg, across, up } = axes(width, height, "Mean IoU of each image, in order", whole("images, the worst first", 1, ranked.length, width < 500 ? 4 : 8), shares("mIoU, %"));
    const places = ranked.map((_, place) => across(place + 1));
    const heights = ranked.map(([, miou]) => up(miou));
    svg.append(line([[places[0], up(0)], ...places.map((x, place) => [x, heights[place]]), [places.at(-1), up(0)]], "area"));
    svg.append(line(places.map((x, place) => [x, heights[place]])));
    tellNearest(svg, places, heights, (place) => [ranked[place][0], `mIoU ${percent(ranked[place][1])} %, place ${place + 1} of ${ranked.length}`]);
    return svg;
  });
}
