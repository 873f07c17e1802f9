// The latent planes side by side; cursor, pan and zoom are shared by all of them.
import { button, buttonGroup, debounce, h, imageTile, modelName, number, oncePerFrame, percent, swatch } from "./dom.js";
import { makePlane } from "./latent-plane.js";
import { formatNumbers, parseIndices, parseNumbers } from "./url-state.js";

const HELP = "Arrow keys move the cursor, Enter pins it, plus and minus zoom, 0 resets the view.";

export function planeView(app, section) {
  const { data, state } = app;
  const selected = new Set(); // highlighted classes; empty means all
  const isHighlighted = (i) => selected.size === 0 || selected.has(data.labels[i]);
  let active = null; // the plane that has the cursor; the others follow

  const planes = app.models.filter((model) => model.d === 2).map((model) => {
    const readout = makeReadout(app, model);
    const canvas = h("canvas", {
      class: "plane", tabindex: 0, role: "application", "aria-roledescription": "plane",
      "aria-label": `Latent plane of the ${model.title}: ${data.count} codes. ${HELP}`,
    });
    const plane = makePlane(canvas, model, data, {
      isHighlighted,
      onCursor(_, pinned) {
        active = plane;
        for (const one of planes) one.plane.pinned = pinned;
        followCursor();
        saveState();
      },
      onView() {
        for (const one of planes) if (one.plane !== plane) one.plane.setRelativeView(plane.relativeView(), false);
        followCursor();
        saveState();
      },
      onSize: followCursor,
    });
    section.querySelector(".readouts").append(readout.element);
    section.querySelector(".planes").append(h("div", { class: "card" }, canvas));
    return { plane, readout };
  });

  const toggles = Object.fromEntries([["grid", "Decoded grid"], ["holes", "Holes"]].map(([name, label]) =>
    [name, button(label, () => { setLayer(name, !planes[0].plane[name]); saveState(); })]));
  const zoom = (factor) => () => active.zoom(factor, active.toX(active.cursor[0]), active.toY(active.cursor[1]));
  section.querySelector(".buttons").append(
    ...Object.values(toggles),
    button("−", zoom(1 / 1.5), { "aria-label": "Zoom out" }), button("+", zoom(1.5), { "aria-label": "Zoom in" }),
    button("Reset view", () => planes[0].plane.resetView()));

  const classes = data.names.map((name, value) => ({ value, label: h("span", { class: "chip" }, swatch(data.colors[value]), name) }));
  const items = [{ value: -1, label: "All" }, ...classes.filter(({ value }) => data.indicesByClass[value].length)];
  const filter = buttonGroup("Highlight classes", items, (k) => {
    if (k < 0) selected.clear(); else if (!selected.delete(k)) selected.add(k);
    showSelection();
    saveState();
  });
  section.querySelector(".filter").append(...filter.element.children);

  function showSelection() {
    filter.press((k) => (k < 0 ? selected.size === 0 : selected.has(k)));
    for (const { plane } of planes) plane.repaintCodes();
  }
  function setLayer(name, on) {
    for (const { plane } of planes) { plane[name] = on; plane.repaint(); }
    toggles[name].setAttribute("aria-pressed", on);
  }

  /** Move every cursor to the relative position of the active one, and decode there. */
  function followCursor() {
    if (!active?.cursor || !active.view.width) return;
    const [right, down] = active.toFractions(active.cursor);
    for (const { plane, readout } of planes) {
      if (!plane.view.width) continue;
      if (plane !== active) plane.setCursor(plane.at(right * plane.view.width, down * plane.view.height));
      readout.decode(plane.cursor);
    }
    describe();
  }
  const describe = oncePerFrame(() => {
    for (const { plane, readout } of planes) if (plane.cursor) readout.describe(plane);
    announce();
  });
  const announce = debounce(() => {
    if (!section.hidden) app.announce(planes.map(({ readout }) => readout.summary()).join(". "));
  }, 700);

  const saveState = debounce(() => {
    if (section.hidden || !active) return;
    const { plane } = planes[0], view = plane.relativeView();
    state.update({
      at: active.cursor && `${active.model.key}:${formatNumbers(active.cursor)}`,
      pin: active.pinned ? 1 : null,
      zoom: Math.abs(view[2] - 1) + Math.abs(view[0]) + Math.abs(view[1]) > 1e-3 ? formatNumbers(view) : null,
      only: selected.size ? [...selected].join(",") : null,
      grid: plane.grid ? null : 0,
      holes: plane.holes ? null : 0,
    });
  }, 100);

  return {
    show() {
      const [key, z] = (state.get("at") ?? "").split(":");
      const found = planes.find((one) => one.plane.model.key === key), code = parseNumbers(z, 2);
      active = (found ?? planes[0]).plane;
      active.setCursor(found && code ? code : Object.values(active.model.positions).at(-3) ?? [active.initial.x, active.initial.y]);
      for (const { plane } of planes) {
        plane.pinned = state.get("pin") === "1";
        plane.setRelativeView(parseNumbers(state.get("zoom"), 3) ?? [0, 0, 1], false);
      }
      selected.clear();
      for (const k of parseIndices(state.get("only"), data.names.length)) selected.add(k);
      setLayer("grid", state.get("grid") !== "0");
      setLayer("holes", state.get("holes") !== "0");
      showSelection();
      followCursor();
    },
    planes: planes.map((one) => one.plane),
  };
}

/** The decoded image at a plane's cursor, its class, and the nearest test image. */
function makeReadout(app, model) {
  const { data } = app, name = `Decoded by the ${model.title}`;
  const image = imageTile(data.size, name), neighbour = imageTile(data.size, "Nearest test image");
  const pixels = new Float32Array(data.size[0] * data.size[1]);
  const position = h("span", {}), classified = h("p", { class: "muted" }), density = h("p", { class: "muted" });
  const caption = h("span", {});
  let summary = "";
  return {
    element: h("div", { class: "card readout" }, image.canvas,
      h("div", { class: "text" }, h("p", { class: "position" }, modelName(model, false), position), classified, density),
      h("div", { class: "neighbour" }, neighbour.canvas, caption)),
    decode(z) { image.paint(model.decode(z, pixels)); },
    describe(plane) {
      const { label, probability } = app.classifier.classify(pixels), { covered, index, distance } = plane.describe(plane.cursor);
      const [x, y] = plane.cursor.map((v) => number(v)), nearest = data.names[data.labels[index]];
      position.textContent = ` (${x}, ${y})`;
      classified.textContent = `classified as ${data.names[label]} (${percent(probability)})`;
      const region = covered ? "among the codes" : "hole: no code near";
      density.replaceChildren(h("span", { class: covered ? "" : "hole" }, region), h("span", { class: "more" }, ` · nearest ${number(distance)} away`));
      neighbour.paint(data.image(index), `Nearest test image: ${nearest}`);
      caption.textContent = `nearest: ${nearest}`;
      image.canvas.setAttribute("aria-label", `${name}: classified as ${data.names[label]}`);
      summary = `${model.title} at ${x}, ${y}: ${classified.textContent}, ${region}`;
    },
    summary: () => summary,
  };
}
