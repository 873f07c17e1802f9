// One slider per latent dimension, samples, and the nearest test images.
import { nearest, row, sampleFrom } from "./codes.js";
import { button, buttonGroup, debounce, h, imageTile, number, oncePerFrame, percent, themeColor } from "./dom.js";
import { formatNumbers, parseNumbers } from "./url-state.js";

const BINS = 48, NEAREST = 5, STEPS = 200;
const SAMPLERS = [["prior", "Prior"], ["gaussian", "Gaussian"], ["mixture", "Mixture"]];

export function slidersView(app, section) {
  const { data, state } = app, pixels = new Float32Array(data.size[0] * data.size[1]);
  let model = app.models[0], z = Float32Array.from(model.mean), sliders = [];

  const modelButtons = buttonGroup("Model", app.models.map((one) => ({ value: one.key, label: one.name })), (key) => {
    selectModel(app.models.find((one) => one.key === key));
    saveState();
  });
  section.querySelector(".models").append(modelButtons.element);
  const samplers = SAMPLERS.map(([name, label]) => [name, button(label, () => setCode(sampleFrom(model.samplers[name])), {
    "aria-label": `Sample a code from the ${label.toLowerCase()}`,
  })]);
  section.querySelector(".buttons").append(
    h("span", { class: "muted" }, "Sample from"), ...samplers.map(([, one]) => one),
    button("A test digit", () => setCode(row(model.codes, Math.floor(Math.random() * data.count), model.d))),
    button("Reset", () => setCode(model.mean)));

  const image = imageTile(data.size, "Decoded");
  const classified = h("p", {}), nearestRow = h("div", { class: "row" });
  section.querySelector(".summary").append(
    h("div", { class: "card decoded" }, image.canvas, classified),
    h("div", { class: "card nearest" }, h("h2", { class: "caption" }, "Nearest test digits"), nearestRow));
  const neighbours = Array.from({ length: Math.min(NEAREST, data.count) }, () => {
    const picture = imageTile(data.size, ""), text = h("span", {});
    let index = 0;
    const element = button(picture.canvas, () => setCode(row(model.codes, index, model.d)), { class: "neighbour-button" });
    element.append(text);
    picture.canvas.setAttribute("aria-hidden", "true");
    nearestRow.append(element);
    return {
      show(found) {
        index = found.index;
        const name = data.names[data.labels[index]];
        picture.paint(data.image(index));
        text.textContent = `${name} · ${number(found.distance, 1)}`;
        element.setAttribute("aria-label", `Go to the code of a ${name}, distance ${number(found.distance)}`);
      },
    };
  });

  function selectModel(selected) {
    model = selected;
    modelButtons.press(model.key);
    for (const [name, one] of samplers) one.hidden = !(name in model.samplers);
    sliders = model.order.map((j) => makeSlider(model, j, (value) => { z[j] = value; update(); }));
    section.querySelector(".sliders").replaceChildren(...sliders.map((one) => one.element));
    for (const slider of sliders) slider.paint();
    setCode(model.mean);
  }
  function setCode(code) {
    z = Float32Array.from(code);
    update();
  }
  const update = oncePerFrame(() => {
    for (const slider of sliders) slider.show(z);
    image.paint(model.decode(z, pixels));
    describe();
    saveState();
  });
  const describe = debounce(() => {
    const { label, probability } = app.classifier.classify(pixels), name = data.names[label];
    classified.textContent = `classified as ${name} (${percent(probability)})`;
    image.canvas.setAttribute("aria-label", `Decoded: classified as ${name}`);
    nearest(model.codes, z, neighbours.length).forEach((one, k) => neighbours[k].show(one));
    if (!section.hidden) app.announce(`Classified as ${name}, ${percent(probability)}`);
  }, 60);
  const saveState = () => { if (!section.hidden) state.update({ model: model.key, z: formatNumbers(z, 4) }); };
  document.addEventListener("themechange", () => { for (const slider of sliders) slider.paint(); });

  return {
    show() {
      selectModel(app.models.find((one) => one.key === state.get("model")) ?? app.models[0]);
      const code = parseNumbers(state.get("z"), model.d);
      if (code) setCode(code);
    },
  };
}

const subscript = (n) => String(n).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
export const dimensionName = (j) => `z${subscript(j + 1)}`;

/** A slider of dimension j with a histogram of the test codes above it. */
function makeSlider(model, j, onInput) {
  const low = model.low[j], high = Math.max(model.high[j], low + 1e-6), id = `slider-${j}`;
  const input = h("input", {
    type: "range", id, min: low, max: high, step: (high - low) / STEPS, oninput: () => onInput(Number(input.value)),
  });
  const histogram = h("canvas", { width: 2 * BINS, height: 22, "aria-hidden": "true" }), output = h("output", { for: id });
  const use = model.posterior ? `${number(model.weight[j])} nats` : `var ${number(model.weight[j], 1)}`;
  const counts = new Float32Array(BINS);
  for (let i = j; i < model.codes.length; i += model.d) {
    counts[Math.min(BINS - 1, Math.max(0, Math.floor(((model.codes[i] - low) / (high - low)) * BINS)))]++;
  }
  const most = Math.max(...counts);
  return {
    element: h("div", { class: "card slider" }, h("label", { for: id }, dimensionName(j)),
      h("div", {}, histogram, input), h("span", {}, output, h("span", { class: "use" }, use))),
    show(z) {
      input.value = z[j];
      output.textContent = number(z[j]);
      input.setAttribute("aria-valuetext", number(z[j]));
    },
    paint() {
      const c = histogram.getContext("2d");
      c.clearRect(0, 0, histogram.width, histogram.height);
      c.fillStyle = themeColor(model.role);
      c.globalAlpha = 0.3;
      c.beginPath();
      c.moveTo(0, histogram.height);
      counts.forEach((n, k) => c.lineTo(2 * k + 1, histogram.height * (1 - (0.95 * n) / most)));
      c.lineTo(histogram.width, histogram.height);
      c.fill();
    },
  };
}
