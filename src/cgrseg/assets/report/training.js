// How training went, where its log lies beside the weights.

function showTraining() {
  const { history } = content;
  if (!history) return;
  section("training", "Training", "From the log of the run that made these weights.",
    make("div", { class: "pair" }, lossChart(history.losses), scoreChart(history.mious)));
}

function lossChart(losses) {
  if (losses.length < 2) return null;
  return figure("Loss", "Of the training batches; each point is the mean of its neighbours.", 0.6, (width, height) => {
    const most = Math.max(...losses.map(([, loss]) => loss));
    const y = { from: 0, to: most, ticks: ticks(0, most), format: (value) => String(Number(value.toPrecision(3))), label: "loss" };
    const { svg, across, up } = axes(width, height, "Loss over the steps", whole("step", 0, losses.at(-1)[0], 4), y);
    const places = losses.map(([step]) => across(step));
    const heights = losses.map(([, loss]) => up(loss));
    svg.append(line(places.map((x, place) => [x, heights[place]])));
    tellNearest(svg, places, heights, (place) => [`step ${count(losses[place][0])}`, `loss ${losses[place][1].toPrecision(3)}`]);
    return svg;
  });
}

function scoreChart(mious) {
  if (mious.length === 0) return null;
  const best = mious.reduce((one, other) => (other.miou > one.miou ? other : one));
  const caption = `On ${[...new Set(mious.map(({ split }) => split))].filter(Boolean).join(", ") || "held-out images"} while training; the best is ${percent(best.miou)} % at step ${count(best.step)}.`;
  return figure("Mean IoU", caption, 0.6, (width, height) => {
    const y = shares("mIoU, %", 0, Math.min(1, Math.ceil(10 * best.miou + 0.5) / 10));
    const { svg, across, up } = axes(width, height, "Mean IoU over the steps", whole("step", 0, mious.at(-1).step, 4), y);
    const places = mious.map(({ step }) => across(step));
    const heights = mious.map(({ miou }) => up(miou));
    svg.append(line(places.map((x, place) => [x, heights[place]])));
    places.forEach((x, place) => svg.append(make("svg:circle", { class: "dot", cx: x, cy: heights[place], r: 3.5 })));
    tellNearest(svg, places, heights, (place) => [`step ${count(mious[place].step)}`, `mIoU ${percent(mious[place].miou)} %`]);
    return svg;
  });
}
