// Pointer, wheel, fingers and keys on a plane.

const SLOP = 4; // pixels that a click may move
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Point to look, click to pin, drag to pan, wheel or two fingers to zoom; keys do the same. */
export function steer(plane) {
  const { canvas, view } = plane;
  const fingers = new Map(); // pointers that are down: id → [x, y]
  let dragged = 0, pinched = false;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const middle = () => {
    const all = [...fingers.values()];
    return [all.reduce((sum, p) => sum + p[0], 0) / all.length, all.reduce((sum, p) => sum + p[1], 0) / all.length];
  };
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a[0] - b[0], a[1] - b[1]);
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    if (!fingers.size) { dragged = 0; pinched = false; }
    fingers.set(event.pointerId, place(event));
    if (fingers.size === 2) pinched = true;
    if (event.pointerType !== "mouse" && fingers.size === 1) plane.move(plane.at(...place(event)), false);
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = place(event), before = fingers.get(event.pointerId);
    if (!before) { // a mouse that hovers
      if (!plane.pinned) plane.move(plane.at(...now), false);
      return;
    }
    if (fingers.size === 2) {
      const [mx, my] = middle(), apart = spread();
      fingers.set(event.pointerId, now);
      const [nx, ny] = middle();
      plane.pan(nx - mx, ny - my);
      if (apart > 0) plane.zoom(spread() / apart, nx, ny);
      return;
    }
    dragged += Math.hypot(now[0] - before[0], now[1] - before[1]);
    fingers.set(event.pointerId, now);
    if (event.pointerType !== "mouse") { if (!pinched) plane.move(plane.at(...now), false); return; }
    if (dragged > SLOP) { canvas.classList.add("held"); plane.pan(now[0] - before[0], now[1] - before[1]); }
  });
  const up = (event) => {
    if (!fingers.delete(event.pointerId) || fingers.size) return;
    canvas.classList.remove("held");
    if (event.type === "pointercancel" || dragged > SLOP || pinched) return;
    const now = place(event), pin = plane.pinned && [plane.toX(plane.cursor[0]), plane.toY(plane.cursor[1])];
    const again = pin && Math.hypot(now[0] - pin[0], now[1] - pin[1]) < 12;
    plane.move(plane.at(...now), !again);
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);

  canvas.addEventListener("wheel", (event) => {
    // A page that scrolls under the pointer must not be caught: the wheel zooms when asked to.
    if (!(event.ctrlKey || event.metaKey || document.activeElement === canvas)) return;
    event.preventDefault();
    plane.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016) * (event.ctrlKey ? 3 : 1)), ...place(event));
  }, { passive: false });

  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const cursor = plane.cursor ?? [view.x, view.y], [px, py] = [plane.toX(cursor[0]), plane.toY(cursor[1])];
    if (event.key in KEYS) {
      const [dx, dy] = KEYS[event.key].map((v) => v * (event.shiftKey ? 40 : 8));
      const [x, y] = [px + dx, py + dy];
      // The view follows a cursor that walks out of it.
      const back = (at, end) => Math.min(0, end - 12 - at) + Math.max(0, 12 - at);
      plane.pan(back(x, view.width), back(y, view.height));
      plane.move([cursor[0] + dx / view.scale, cursor[1] - dy / view.scale], plane.pinned);
    } else if (event.key === "+" || event.key === "=") plane.zoom(1.4, px, py);
    else if (event.key === "-") plane.zoom(1 / 1.4, px, py);
    else if (event.key === "0") plane.goHome();
    else if (event.key === "Enter" || event.key === " ") plane.move(cursor, !plane.pinned);
    else if (event.key === "Escape" && plane.pinned) plane.move(cursor, false);
    else return;
    event.preventDefault();
  });
}
