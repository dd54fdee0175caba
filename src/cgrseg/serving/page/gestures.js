// From fingers, mouse, wheel and keys to what they mean: zoom, move, point.

const SLACK = 4; // a hand trembles this many pixels without meaning to drag
const PACE = 8; // an arrow key moves the cross by so many pixels of the screen, with Shift by one of the image

/** Call `act` ({zoom, move, point, step, fit, canMove}) for what happens on an element. */
export function listen(surface, act) {
  const pointers = new Map();
  const at = (event) => {
    const box = surface.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  surface.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    surface.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { ...at(event), travelled: 0 });
    act.point(pointers.size === 1 ? at(event) : null, event.pointerType);
  });

  surface.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    const now = at(event);
    if (!last) {
      act.point(now, event.pointerType);
      return;
    }
    const travelled = last.travelled + Math.hypot(now.x - last.x, now.y - last.y);
    pointers.set(event.pointerId, { ...now, travelled });
    if (pointers.size === 2) pinch(pointers, event.pointerId, last, now, act);
    else if (pointers.size === 1) drag(last, { ...now, travelled }, event, act);
    surface.classList.toggle("dragging", travelled > SLACK && act.canMove());
  });

  const lift = (event) => {
    pointers.delete(event.pointerId);
    surface.classList.remove("dragging");
    if (event.type === "pointercancel") act.point(null);
  };
  surface.addEventListener("pointerup", lift);
  surface.addEventListener("pointercancel", lift);
  surface.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && pointers.size === 0) act.point(null);
  });
  surface.addEventListener("dblclick", (event) => act.zoom(2, at(event)));
  surface.addEventListener("wheel", (event) => turn(event, at(event), act), { passive: false });
  surface.addEventListener("keydown", (event) => press(event, act));
}

function pinch(pointers, moving, last, now, act) {
  const other = [...pointers].find(([id]) => id !== moving)[1];
  const apart = (point) => Math.hypot(point.x - other.x, point.y - other.y);
  const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
  act.move((now.x - last.x) / 2, (now.y - last.y) / 2);
  if (apart(last) > 0) act.zoom(apart(now) / apart(last), middle);
}

function drag(last, now, event, act) {
  if (!act.canMove()) {
    act.point(now, event.pointerType);
  } else if (now.travelled > SLACK) {
    act.point(null);
    act.move(now.x - last.x, now.y - last.y);
  }
}

/** The wheel zooms; where it cannot, it scrolls the page as everywhere. */
function turn(event, at, act) {
  const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
  const fine = event.ctrlKey ? 6 : 1; // two fingers on a trackpad
  if (act.zoom(Math.exp(-0.0016 * fine * lines * event.deltaY), at)) event.preventDefault();
}

function press(event, act) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target !== event.currentTarget) return;
  const arrow = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
  const key = { "+": () => act.zoom(1.5), "=": () => act.zoom(1.5), "-": () => act.zoom(1 / 1.5), 0: () => act.fit() }[event.key];
  if (!arrow && !key) return;
  event.preventDefault();
  if (arrow) act.step(arrow[0], arrow[1], event.shiftKey ? 0 : PACE);
  else key();
}
