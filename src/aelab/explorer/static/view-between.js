// Ways from one code to another: straight and along the arc, in every model, with labels and lengths.
import { button, choice, h, number, percent, swatch, tile, who } from "./dom.js";
import { arc, distance, linear, spherical } from "./codes.js";
import { makePicker, pixelsOf, readPick } from "./picker.js";
import { makeMap } from "./plane.js";

const STEPS = 11, SURE = 0.9;
const WAYS = [["straight line", linear], ["along the arc", spherical]];

export function betweenView(app, section) {
  const { data, state } = app, sizes = [...new Set(app.models.map((model) => model.d))];
  let d = sizes[0], ends = [0, 0], turn = 0;

  const pickers = ["From", "To"].map((title, side) => makePicker(app, title, (value) => { ends[side] = value; change(); }));
  const swap = button("Swap", () => {
    ends.reverse();
    pickers.forEach((one, side) => one.show(ends[side]));
    change();
  }, { class: "swap" });
  section.querySelector(".ends").append(...pickers.map((one) => one.element), swap);
  const items = sizes.map((size) => ({ value: size, label: `d = ${size}` }));
  const chooser = choice("Latent size", items, (size) => { take(size); change(); });
  if (sizes.length > 1) section.querySelector(".sizes").append(chooser.element);
  const rows = app.models.flatMap((model) => WAYS.map(([name, way]) => makeRow(app, model, name, way)));
  const flat = app.models.filter((model) => model.d === 2);
  const maps = flat.map((model) => makeMap(model, data, "Both ways on the plane of the", "Both ways on the plane of the"));
  const planes = h("div", { class: "pairs" }, ...maps.map((one) => one.element));
  section.querySelector(".ways").append(...rows.map((row) => row.element), planes);

  function take(size) {
    d = size;
    chooser.show(d);
    for (const row of rows) row.element.hidden = row.model.d !== d;
    planes.hidden = d !== 2;
  }

  /** Row by row, a frame each, so that the page stays alive; a newer wish stops an older one. */
  async function update() {
    const mine = ++turn, pixels = ends.map((value) => pixelsOf(app, value));
    for (const row of rows.filter((one) => one.model.d === d)) {
      const [a, b] = pixels.map((x) => row.model.encode(x).mean);
      row.show(a, b);
      await new Promise(requestAnimationFrame);
      if (mine !== turn) return;
    }
    for (const { model, plane } of maps) {
      const walked = rows.filter((row) => row.model === model && row.points);
      plane.marks = walked.map(({ points }) => ({ kind: "way", points }));
      plane.repaint();
    }
    if (!section.hidden) app.say(rows.filter((one) => one.model.d === d).map((one) => one.words).join(". "));
  }
  function change() {
    update();
    state.keep({ from: ends[0], to: ends[1], d, ...(ends.includes("drawing") ? app.writeDrawing() : {}) });
  }

  return {
    show() {
      app.readDrawing();
      ends = [readPick(app, "from", app.first(4)), readPick(app, "to", app.first(9))];
      pickers.forEach((one, side) => one.show(ends[side]));
      const wanted = Number(state.get("d"));
      take(sizes.includes(wanted) ? wanted : sizes[0]);
      update();
    },
  };
}

function makeRow(app, model, kind, way) {
  const { data } = app, facts = h("span", { class: "muted" });
  const steps = Array.from({ length: STEPS }, (_, k) => {
    const image = tile(data.size, ""), label = h("span", { class: "label" });
    return { image, label, element: h("li", { class: "step" }, image.canvas, label), t: k / (STEPS - 1) };
  });
  const about = `Steps of the ${model.name}, ${kind}`;
  const list = h("ol", { class: "steps", "aria-label": about }, ...steps.map((one) => one.element));
  const title = h("h2", {}, who(model), h("span", { class: "kind" }, kind), facts);
  const row = {
    model,
    points: null,
    words: "",
    element: h("div", { class: "card way" }, title, list),
    show(a, b) {
      row.points = steps.map(({ t }) => way(a, b, t));
      const images = row.points.map((z) => model.decode(z)), told = images.map((x) => app.judge.tell(x));
      steps.forEach((step, k) => {
        const { label, probability } = told[k], name = data.names[label];
        step.image.paint(images[k], `Step ${k + 1}: ${name}, ${percent(probability)} sure`);
        step.label.replaceChildren(swatch(data.colors[label]), name);
        step.element.classList.toggle("unsure", probability < SURE);
      });
      const length = arc(images), chord = distance(images[0], images.at(-1));
      facts.textContent = chord > 1e-6
        ? `length ${number(length, 1)}, ${number(length / chord)} × the chord`
        : "the ends are the same";
      const names = told.map(({ label }) => data.names[label]).filter((one, k, all) => one !== all[k - 1]);
      row.words = `${model.name}, ${kind}: ${names.join(", then ")}`;
    },
  };
  return row;
}
