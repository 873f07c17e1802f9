// Pointer, wheel, touch and keyboard control of a latent plane.
import { ARROWS, hasModifier, pointerPosition } from "./dom.js";

const CLICK_TOLERANCE = 4; // pixels that a pointer may move in a click
const UNPIN_DISTANCE = 12; // pixels: a click so near to the pinned cursor releases it
const EDGE = 12; // pixels that the keyboard's cursor keeps from the edge

/** Move to point, click to pin, drag to pan, wheel or two fingers to zoom; keys do the same. */
export function addPanZoom(plane) {
  const { canvas, view } = plane;
  const pointers = new Map(); // pointers that are down: id → [x, y]
  let dragged = 0, pinched = false;
  const positionOf = (event) => pointerPosition(canvas, event);
  const center = () => {
    const all = [...pointers.values()];
    return [0, 1].map((axis) => all.reduce((total, p) => total + p[axis], 0) / all.length);
  };
  const spread = () => {
    const [a, b] = [...pointers.values()];
    return Math.hypot(a[0] - b[0], a[1] - b[1]);
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    if (!pointers.size) { dragged = 0; pinched = false; }
    pointers.set(event.pointerId, positionOf(event));
    if (pointers.size === 2) pinched = true;
    if (event.pointerType !== "mouse" && pointers.size === 1) plane.moveCursor(plane.at(...positionOf(event)), false);
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = positionOf(event), before = pointers.get(event.pointerId);
    if (!before) { // a mouse without a pressed button
      if (!plane.pinned) plane.moveCursor(plane.at(...now), false);
      return;
    }
    if (pointers.size === 2) {
      const [oldX, oldY] = center(), oldSpread = spread();
      pointers.set(event.pointerId, now);
      const [x, y] = center();
      plane.pan(x - oldX, y - oldY);
      if (oldSpread > 0) plane.zoom(spread() / oldSpread, x, y);
      return;
    }
    dragged += Math.hypot(now[0] - before[0], now[1] - before[1]);
    pointers.set(event.pointerId, now);
    if (event.pointerType !== "mouse") { if (!pinched) plane.moveCursor(plane.at(...now), false); return; }
    if (dragged > CLICK_TOLERANCE) { canvas.classList.add("dragging"); plane.pan(now[0] - before[0], now[1] - before[1]); }
  });
  const onUp = (event) => {
    if (!pointers.delete(event.pointerId) || pointers.size) return;
    canvas.classList.remove("dragging");
    if (event.type === "pointercancel" || dragged > CLICK_TOLERANCE || pinched) return;
    const [x, y] = positionOf(event), pin = plane.pinned && [plane.toX(plane.cursor[0]), plane.toY(plane.cursor[1])];
    const onPin = pin && Math.hypot(x - pin[0], y - pin[1]) < UNPIN_DISTANCE;
    plane.moveCursor(plane.at(x, y), !onPin);
  };
  canvas.addEventListener("pointerup", onUp);
  canvas.addEventListener("pointercancel", onUp);

  canvas.addEventListener("wheel", (event) => {
    // The wheel zooms only on request, so that scrolling the page past a plane keeps working.
    if (!(event.ctrlKey || event.metaKey || document.activeElement === canvas)) return;
    event.preventDefault();
    plane.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016) * (event.ctrlKey ? 3 : 1)), ...positionOf(event));
  }, { passive: false });

  canvas.addEventListener("keydown", (event) => {
    if (hasModifier(event)) return;
    const cursor = plane.cursor ?? [view.x, view.y], [px, py] = [plane.toX(cursor[0]), plane.toY(cursor[1])];
    if (event.key in ARROWS) {
      const [dx, dy] = ARROWS[event.key].map((v) => v * (event.shiftKey ? 40 : 8));
      // The view follows a cursor that leaves it.
      const overshoot = (at, end) => Math.min(0, end - EDGE - at) + Math.max(0, EDGE - at);
      plane.pan(overshoot(px + dx, view.width), overshoot(py + dy, view.height));
      plane.moveCursor([cursor[0] + dx / view.scale, cursor[1] - dy / view.scale], plane.pinned);
    } else if (event.key === "+" || event.key === "=") plane.zoom(1.4, px, py);
    else if (event.key === "-") plane.zoom(1 / 1.4, px, py);
    else if (event.key === "0") plane.resetView();
    else if (event.key === "Enter" || event.key === " ") plane.moveCursor(cursor, !plane.pinned);
    else if (event.key === "Escape" && plane.pinned) plane.moveCursor(cursor, false);
    else return;
    event.preventDefault();
  });
}
