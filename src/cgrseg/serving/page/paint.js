// Colours for what is in sight, looked up in the maps at full size: the cost is that of the screen, not of the photo.

const RAMP = [[250, 226, 120], [231, 120, 74], [158, 52, 110], [52, 28, 98]]; // from unsure to sure, as in reports
const CLEAR = 0;
const EDGE = word([255, 255, 255]);

/** A colour as canvases hold it. */
function word([red, green, blue]) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

function rampAt(share) {
  const place = Math.min(share * (RAMP.length - 1), RAMP.length - 1.0001);
  const [low, part] = [Math.floor(place), place - Math.floor(place)];
  return RAMP[low].map((value, channel) => Math.round(value + part * (RAMP[low + 1][channel] - value)));
}

const HEAT = Uint32Array.from({ length: 256 }, (_, value) => word(rampAt(value / 255)));

/** For each row or column of the screen the one of the image it shows, -1 beside it. */
function lookUp(length, offset, scale, most) {
  return Int32Array.from({ length }, (_, place) => {
    const found = Math.floor((place + 0.5 - offset) / scale);
    return found >= 0 && found < most ? found : -1;
  });
}

/** Paint the classes that `shows` says, in their colours or by confidence, one that is alone with its outline.
 * `view` is in pixels of the canvas. */
export function paint(canvas, view, maps, { colours, shows, isHeat, isAlone }) {
  const pen = canvas.getContext("2d");
  const drawn = pen.createImageData(canvas.width, canvas.height);
  const words = new Uint32Array(drawn.data.buffer);
  const columns = lookUp(canvas.width, view.x, view.scale, maps.width);
  const rows = lookUp(canvas.height, view.y, view.scale, maps.height);
  const shown = Uint32Array.from({ length: 256 }, (_, label) => (shows(label) ? word(colours[label] ?? [128, 128, 128]) : CLEAR));
  let place = 0;
  for (const row of rows) {
    const start = row * maps.width;
    for (const column of columns) {
      if (row >= 0 && column >= 0) {
        const colour = shown[maps.labels[start + column]];
        words[place] = isHeat && colour !== CLEAR ? HEAT[maps.confidence[start + column]] : colour;
      }
      place += 1;
    }
  }
  if (isAlone) outline(words, canvas.width);
  pen.putImageData(drawn, 0, 0);
}

/** A line where what is painted ends, so that grey classes stand out too; backwards, as each pixel asks those before it. */
function outline(words, width) {
  for (let place = words.length - 1; place > width; place -= 1) {
    const isPainted = words[place] !== CLEAR;
    const isEdge = isPainted !== (words[place - 1] !== CLEAR) || isPainted !== (words[place - width] !== CLEAR);
    if (isEdge && place % width) words[place] = EDGE;
  }
}

/** Pixels and mean confidence of each class that is there, the largest first. */
export function measure(maps) {
  const [pixels, sums] = [new Float64Array(256), new Float64Array(256)];
  for (let place = 0; place < maps.labels.length; place += 1) {
    pixels[maps.labels[place]] += 1;
    sums[maps.labels[place]] += maps.confidence[place];
  }
  const rows = Array.from(pixels, (count, label) => ({ label, share: count / maps.labels.length, confidence: sums[label] / count / 255 }));
  return rows.filter(({ share }) => share > 0).sort((one, other) => other.share - one.share);
}
