// Interpolation between two codes, linear and spherical, in every model, with class and path length.
import { distance, lerp, pathLength, slerp } from "./codes.js";
import { button, buttonGroup, h, imageTile, modelName, number, percent, swatch } from "./dom.js";
import { drawingStateOf, makePicker, pickedPixels, readPick } from "./image-picker.js";
import { makeSmallPlane } from "./latent-plane.js";

const STEPS = 11, CONFIDENT = 0.9;
const METHODS = [["linear", lerp], ["spherical", slerp]];

export function interpolateView(app, section) {
  const { data, state } = app, sizes = [...new Set(app.models.map((model) => model.d))];
  let d = sizes[0], ends = [0, 0], latest = 0;

  const pickers = ["From", "To"].map((title, side) => makePicker(app, title, (value) => { ends[side] = value; change(); }));
  const swap = button("Swap", () => {
    ends.reverse();
    showEnds();
    change();
  }, { class: "swap" });
  section.querySelector(".pickers").append(...pickers.map((one) => one.element), swap);
  const items = sizes.map((size) => ({ value: size, label: `d = ${size}` }));
  const sizeButtons = buttonGroup("Latent size", items, (size) => { selectSize(size); change(); });
  if (sizes.length > 1) section.querySelector(".sizes").append(sizeButtons.element);
  const rows = app.models.flatMap((model) => METHODS.map(([name, method]) => makeRow(app, model, name, method)));
  const maps = app.models.filter((model) => model.d === 2)
    .map((model) => makeSmallPlane(model, data, "Both paths in the plane of the", "Both paths in the plane of the"));
  const planes = h("div", { class: "grid" }, ...maps.map((one) => one.element));
  section.querySelector(".paths").append(...rows.map((row) => row.element), planes);

  const showEnds = () => pickers.forEach((one, side) => one.show(ends[side]));
  function selectSize(size) {
    d = size;
    sizeButtons.press(d);
    for (const row of rows) row.element.hidden = row.model.d !== d;
    planes.hidden = d !== 2;
  }

  /** One row per frame, so that the page stays responsive; a newer update stops an older one. */
  async function update() {
    const own = ++latest, pixels = ends.map((value) => pickedPixels(app, value));
    const visible = rows.filter((row) => row.model.d === d);
    for (const row of visible) {
      row.show(...pixels.map((x) => row.model.encode(x).mean));
      await new Promise(requestAnimationFrame);
      if (own !== latest) return;
    }
    for (const { model, plane } of maps) {
      plane.marks = rows.filter((row) => row.model === model && row.points).map(({ points }) => ({ kind: "path", points }));
      plane.repaint();
    }
    if (!section.hidden) app.announce(visible.map((row) => row.summary).join(". "));
  }
  function change() {
    update();
    state.update({ from: ends[0], to: ends[1], d, ...drawingStateOf(app, ...ends) });
  }

  return {
    show() {
      app.loadDrawing();
      ends = [readPick(app, "from", app.firstOfClass(4)), readPick(app, "to", app.firstOfClass(9))];
      showEnds();
      const wanted = Number(state.get("d"));
      selectSize(sizes.includes(wanted) ? wanted : sizes[0]);
      update();
    },
  };
}

function makeRow(app, model, kind, method) {
  const { data } = app, facts = h("span", { class: "muted" });
  const steps = Array.from({ length: STEPS }, (_, k) => {
    const image = imageTile(data.size, ""), label = h("span", { class: "label" });
    return { image, label, element: h("li", { class: "step" }, image.canvas, label), t: k / (STEPS - 1) };
  });
  const list = h("ol", { class: "steps", "aria-label": `Steps of the ${model.name}, ${kind}` }, ...steps.map((one) => one.element));
  const title = h("h2", {}, modelName(model), h("span", { class: "kind" }, kind), facts);
  const row = {
    model,
    points: null,
    summary: "",
    element: h("div", { class: "card path" }, title, list),
    show(a, b) {
      row.points = steps.map(({ t }) => method(a, b, t));
      const images = row.points.map((z) => model.decode(z)), classified = images.map((x) => app.classifier.classify(x));
      steps.forEach((step, k) => {
        const { label, probability } = classified[k], name = data.names[label];
        step.image.paint(images[k], `Step ${k + 1}: ${name}, ${percent(probability)}`);
        step.label.replaceChildren(swatch(data.colors[label]), name);
        step.element.classList.toggle("uncertain", probability < CONFIDENT);
      });
      const arc = pathLength(images), chord = distance(images[0], images.at(-1));
      facts.textContent = chord > 1e-6
        ? `arc ${number(arc, 1)}, arc\u00a0/\u00a0chord\u00a0${number(arc / chord)}`
        : "both ends are equal";
      const names = classified.map(({ label }) => data.names[label]).filter((one, k, all) => one !== all[k - 1]);
      row.summary = `${model.name}, ${kind}: ${names.join(", then ")}`;
    },
  };
  return row;
}
