// The image with its labels on it: two canvases, the upper one seen through by CSS, and what lies over them.

import { button, make } from "./elements.js";
import { listen } from "./gestures.js";
import { paint } from "./paint.js";
import { fitted, isFitted, moved, pixelAt, screenAt, settled, showing, zoomed } from "./view.js";

const MOST_RATIO = 2; // canvas pixels for one of the screen's
const STEP = 1.5;

export class Stage {
  /** `describe` gives what to write beside a pixel; `onPoint` hears the pixel pointed at, or null. */
  constructor({ describe, onPoint }) {
    Object.assign(this, { describe, onPoint, size: null, image: null, maps: null, view: null, at: null, look: null });
    this.below = make("canvas", { "data-layer": "image" });
    this.above = make("canvas", { "data-layer": "labels" });
    this.cross = make("i", { class: "cross", hidden: true });
    this.tip = make("div", { class: "tip", hidden: true });
    this.surface = make("div", { class: "surface", tabindex: "0", role: "application", "aria-label": "The image and its labels; arrow keys move over it, plus and minus zoom, 0 fits" },
      this.below, this.above, this.cross, this.tip);
    this.swipe = makeSwipe((share) => { this.above.style.clipPath = share === null ? "" : `inset(0 0 0 ${100 * share}%)`; });
    this.level = make("output", { class: "level" });
    const zoom = make("div", { class: "zoom", role: "group", "aria-label": "Zoom" },
      button("\u2212", () => this.zoom(1 / STEP), { "aria-label": "Zoom out" }), this.level,
      button("+", () => this.zoom(STEP), { "aria-label": "Zoom in" }), button("Fit", () => this.fit()));
    this.element = make("div", { class: "stage" }, this.surface, this.swipe.element, zoom);
    listen(this.surface, this);
    this.surface.addEventListener("blur", () => this.point(null));
    new ResizeObserver(() => this.resize()).observe(this.surface);
  }

  /** Show an image (null: this browser cannot) and its maps (null: not here yet). */
  show(image, maps) {
    const size = maps ?? image;
    const isSame = this.size && this.size.width === size.width && this.size.height === size.height && this.image === image;
    Object.assign(this, { image, maps, size: { width: size.width, height: size.height } });
    this.element.style.setProperty("--ratio", size.width / size.height);
    if (!isSame) this.view = null;
    this.point(null);
    this.resize();
  }

  /** How to paint: colours, the classes that show, labels or heat. */
  paintAs(look) {
    this.look = look;
    this.draw();
  }

  get box() {
    return { width: this.surface.clientWidth, height: this.surface.clientHeight };
  }

  resize() {
    if (!this.size || this.box.width === 0) return;
    const wasFitted = !this.view || this.isFit;
    this.set(wasFitted ? fitted(this.box, this.size) : settled(this.view, this.box, this.size));
  }

  set(view) {
    this.view = view;
    this.isFit = isFitted(view, this.box, this.size);
    this.surface.classList.toggle("fit", this.isFit);
    this.level.value = `${Math.round(100 * view.scale)}\u202f%`;
    this.draw();
  }

  zoom(factor, at = this.at ? screenAt(this.view, this.at) : { x: this.box.width / 2, y: this.box.height / 2 }) {
    if (!this.size) return false;
    const before = this.view.scale;
    this.set(zoomed(this.view, factor, at, this.box, this.size));
    return this.view.scale !== before;
  }

  move(dx, dy) {
    if (this.size) this.set(moved(this.view, dx, dy, this.box, this.size));
  }

  fit() {
    if (this.size) this.set(fitted(this.box, this.size));
  }

  canMove() {
    return !this.isFit;
  }

  /** Point at a place of the box. */
  point(place, kind = "mouse") {
    const pixel = place && this.maps ? pixelAt(this.view, place, this.size) : null;
    this.aim(pixel, kind !== "mouse");
  }

  /** Move the cross by keys. */
  step(dx, dy, pace) {
    if (!this.maps) return;
    const from = this.at ?? { x: this.size.width >> 1, y: this.size.height >> 1 };
    const far = pace ? Math.max(1, Math.round(pace / this.view.scale)) : 1;
    const bound = (value, most) => Math.max(0, Math.min(most - 1, value));
    const pixel = { x: bound(from.x + far * dx, this.size.width), y: bound(from.y + far * dy, this.size.height) };
    this.set(showing(this.view, pixel, this.box, this.size));
    this.aim(pixel, true, true);
  }

  aim(pixel, hasCross, isSpoken = false) {
    this.at = pixel;
    this.cross.hidden = !pixel || !hasCross;
    this.tip.hidden = !pixel;
    this.onPoint(pixel, isSpoken);
    if (!pixel) return;
    this.tip.replaceChildren(...this.describe(pixel));
    this.place();
  }

  /** Put the cross on its pixel and the words beside it, within the box. */
  place() {
    if (!this.at) return;
    const { x, y } = screenAt(this.view, this.at);
    this.cross.style.translate = `${x}px ${y}px`;
    const [width, height] = [this.tip.offsetWidth, this.tip.offsetHeight];
    const gap = this.cross.hidden ? 14 : 28; // a finger hides more than an arrow
    const above = y - height - gap;
    this.tip.style.translate = `${Math.max(6, Math.min(x + 12, this.box.width - width - 6))}px ${above > 6 ? above : y + gap}px`;
  }

  /** Draw with the next frame, however often it is asked for. */
  draw() {
    this.place();
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.view && this.box.width > 0) this.drawNow();
    });
  }

  drawNow() {
    const ratio = Math.min(devicePixelRatio || 1, MOST_RATIO);
    for (const canvas of [this.below, this.above]) {
      canvas.width = Math.round(this.box.width * ratio);
      canvas.height = Math.round(this.box.height * ratio);
    }
    const view = { scale: this.view.scale * ratio, x: this.view.x * ratio, y: this.view.y * ratio };
    const [width, height] = [this.size.width * view.scale, this.size.height * view.scale];
    const pen = this.below.getContext("2d");
    if (this.image) {
      pen.imageSmoothingEnabled = width < 3 * this.image.canvas.width;
      pen.imageSmoothingQuality = "high";
      pen.drawImage(this.image.canvas, view.x, view.y, width, height);
    }
    if (this.maps && this.look) paint(this.above, view, this.maps, this.look);
  }
}

/** A line to drag between the bare image and its labels; `onMove` hears where it is, null when it is put away. */
function makeSwipe(onMove) {
  const element = make("div", { class: "swipe", role: "slider", tabindex: "0", hidden: true, "aria-label": "Image before, labels behind", "aria-valuemin": "0", "aria-valuemax": "100" },
    make("span", { class: "before" }, "Image"), make("i"), make("span", { class: "behind" }, "Labels"));
  let share = 0.5;
  const set = (wanted) => {
    share = Math.max(0, Math.min(1, wanted));
    element.style.left = `${100 * share}%`;
    element.setAttribute("aria-valuenow", Math.round(100 * share));
    onMove(share);
  };
  element.addEventListener("pointerdown", (event) => element.setPointerCapture(event.pointerId));
  element.addEventListener("pointermove", (event) => {
    if (!element.hasPointerCapture(event.pointerId)) return;
    const box = element.parentElement.getBoundingClientRect();
    set((event.clientX - box.left) / box.width);
  });
  element.addEventListener("keydown", (event) => {
    const wanted = { ArrowLeft: share - 0.02, ArrowRight: share + 0.02, Home: 0, End: 1 }[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    set(wanted);
  });
  const open = (isOpen) => {
    element.hidden = !isOpen;
    if (isOpen) set(share);
    else onMove(null);
  };
  const name = (layer) => { element.querySelector(".behind").textContent = layer; };
  return { element, open, name };
}
