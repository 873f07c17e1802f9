// One slider a latent dimension, draws from the samplers, and the nearest real digits.
import { button, choice, css, h, number, onceAFrame, percent, tile, whenQuiet } from "./dom.js";
import { draw, nearest, row } from "./codes.js";
import { readNumbers, writeNumbers } from "./state.js";

const BINS = 48, NEAREST = 5, STEPS = 200;
const SAMPLERS = [["prior", "Prior"], ["gaussian", "Gaussian"], ["mixture", "Mixture"]];

export function slidersView(app, section) {
  const { data, state } = app, pixels = new Float32Array(data.size[0] * data.size[1]);
  let model = app.models[0], z = Float32Array.from(model.mean), sliders = [];

  const models = choice("Model", app.models.map((one) => ({ value: one.key, label: one.name })), (key) => {
    take(app.models.find((one) => one.key === key));
    keep();
  });
  section.querySelector(".models").append(models.element);
  const samplers = SAMPLERS.map(([name, label]) => [name, button(label, () => set(draw(model.samplers[name])), {
    "aria-label": `Draw a code from the ${label.toLowerCase()}`,
  })]);
  section.querySelector(".buttons").append(
    h("span", { class: "muted" }, "Draw from"), ...samplers.map(([, one]) => one),
    button("A test digit", () => set(row(model.codes, Math.floor(Math.random() * data.count), model.d))),
    button("Reset", () => set(model.mean)));

  const image = tile(data.size, "Decoded");
  const verdict = h("p", {}), picks = h("div", { class: "row" });
  section.querySelector(".shown").append(
    h("div", { class: "card big" }, image.canvas, verdict),
    h("div", { class: "card nearest" }, h("h2", { class: "caption" }, "Nearest test digits"), picks));
  const neighbours = Array.from({ length: Math.min(NEAREST, data.count) }, () => {
    const found = tile(data.size, ""), words = h("span", {});
    let index = 0;
    const pick = button(found.canvas, () => set(row(model.codes, index, model.d)), { class: "pick" });
    pick.append(words);
    found.canvas.setAttribute("aria-hidden", "true");
    picks.append(pick);
    return {
      show(one) {
        index = one.index;
        const name = data.names[data.labels[index]];
        found.paint(data.image(index));
        words.textContent = `${name} · ${number(one.distance, 1)}`;
        pick.setAttribute("aria-label", `Go to the code of a ${name}, ${number(one.distance)} away`);
      },
    };
  });

  function take(one) {
    model = one;
    z = Float32Array.from(model.mean);
    models.show(model.key);
    for (const [name, one] of samplers) one.hidden = !(name in model.samplers);
    sliders = model.order.map((j) => makeSlider(model, j, (value) => { z[j] = value; update(); }));
    section.querySelector(".sliders").replaceChildren(...sliders.map((one) => one.element));
    for (const slider of sliders) slider.paint();
    update();
  }
  function set(code) {
    z = Float32Array.from(code);
    update();
  }
  const update = onceAFrame(() => {
    for (const slider of sliders) slider.show(z);
    image.paint(model.decode(z, pixels));
    describe();
    keep();
  });
  const describe = whenQuiet(() => {
    const { label, probability } = app.judge.tell(pixels), name = data.names[label];
    verdict.textContent = `looks like ${name}, ${percent(probability)} sure`;
    image.canvas.setAttribute("aria-label", `Decoded: looks like ${name}`);
    nearest(model.codes, z, neighbours.length).forEach((one, k) => neighbours[k].show(one));
    if (!section.hidden) app.say(`Looks like ${name}, ${percent(probability)} sure`);
  }, 60);
  const keep = () => { if (!section.hidden) state.keep({ model: model.key, z: writeNumbers(z, 4) }); };
  document.addEventListener("themechange", () => { for (const slider of sliders) slider.paint(); });

  return {
    show() {
      take(app.models.find((one) => one.key === state.get("model")) ?? app.models[0]);
      const wanted = readNumbers(state.get("z"), model.d);
      if (wanted) set(wanted);
    },
    set,
  };
}

const subscript = (n) => String(n).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
export const dimension = (j) => `z${subscript(j + 1)}`;

function makeSlider(model, j, onInput) {
  const low = model.low[j], high = Math.max(model.high[j], low + 1e-6), id = `slider-${j}`;
  const input = h("input", {
    type: "range", id, min: low, max: high, step: (high - low) / STEPS, oninput: () => onInput(Number(input.value)),
  });
  const hill = h("canvas", { width: 2 * BINS, height: 22, "aria-hidden": "true" }), output = h("output", { for: id });
  const cost = model.posterior ? `${number(model.weight[j])} nats` : `var ${number(model.weight[j], 1)}`;
  const counts = new Float32Array(BINS);
  for (let i = j; i < model.codes.length; i += model.d) {
    counts[Math.min(BINS - 1, Math.max(0, Math.floor(((model.codes[i] - low) / (high - low)) * BINS)))]++;
  }
  const most = Math.max(...counts);
  return {
    element: h("div", { class: "card slider" }, h("label", { for: id }, dimension(j)),
      h("div", {}, hill, input), h("span", {}, output, h("span", { class: "cost" }, cost))),
    show(z) {
      input.value = z[j];
      output.textContent = number(z[j]);
      input.setAttribute("aria-valuetext", number(z[j]));
    },
    paint() {
      const c = hill.getContext("2d");
      c.clearRect(0, 0, hill.width, hill.height);
      c.fillStyle = css(model.role);
      c.globalAlpha = 0.3;
      c.beginPath();
      c.moveTo(0, hill.height);
      counts.forEach((n, k) => c.lineTo(2 * k + 1, hill.height * (1 - (0.95 * n) / most)));
      c.lineTo(hill.width, hill.height);
      c.fill();
    },
  };
}
