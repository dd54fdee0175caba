// Where the image lies in its box: `scale` screen pixels for each of its own, its corner at `x`, `y`. Pure functions.

const CLOSEST = 40; // screen pixels for one of the image

/** The whole image, in the middle. */
export function fitted(box, size) {
  const scale = Math.min(box.width / size.width, box.height / size.height);
  return settled({ scale, x: 0, y: 0 }, box, size);
}

/** No smaller than the box and no closer than one can use; never out of the box. */
export function settled(view, box, size) {
  const least = Math.min(box.width / size.width, box.height / size.height);
  const scale = Math.max(least, Math.min(view.scale, Math.max(CLOSEST, least)));
  const place = (offset, room, length) => (length <= room ? (room - length) / 2 : Math.min(0, Math.max(room - length, offset)));
  return { scale, x: place(view.x, box.width, size.width * scale), y: place(view.y, box.height, size.height * scale) };
}

/** Nearer or farther, the point `at` of the box staying where it is. */
export function zoomed(view, factor, at, box, size) {
  const { scale } = settled({ ...view, scale: view.scale * factor }, box, size);
  const grown = scale / view.scale;
  return settled({ scale, x: at.x - (at.x - view.x) * grown, y: at.y - (at.y - view.y) * grown }, box, size);
}

/** Moved by screen pixels. */
export function moved(view, dx, dy, box, size) {
  return settled({ ...view, x: view.x + dx, y: view.y + dy }, box, size);
}

/** Moved only so far that a pixel of the image is in sight. */
export function showing(view, pixel, box, size) {
  const at = screenAt(view, pixel);
  const inside = (value, room) => Math.max(24, Math.min(room - 24, value)) - value;
  return moved(view, inside(at.x, box.width), inside(at.y, box.height), box, size);
}

/** The pixel of the image under a point of the box; null beside the image. */
export function pixelAt(view, at, size) {
  const [x, y] = [Math.floor((at.x - view.x) / view.scale), Math.floor((at.y - view.y) / view.scale)];
  return x >= 0 && y >= 0 && x < size.width && y < size.height ? { x, y } : null;
}

/** The middle of a pixel of the image, in the box. */
export function screenAt(view, pixel) {
  return { x: view.x + (pixel.x + 0.5) * view.scale, y: view.y + (pixel.y + 0.5) * view.scale };
}

/** Whether all of the image is in sight. */
export function isFitted(view, box, size) {
  return view.scale <= Math.min(box.width / size.width, box.height / size.height) * 1.001;
}
