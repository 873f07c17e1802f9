// The KL of each dimension of a VAE's code for one image, and the reconstruction without some.
import { sum } from "./codes.js";
import { buttonGroup, debounce, definitions, h, imageTile, number, themeColor } from "./dom.js";
import { drawingStateOf, makePicker, pickedPixels, readPick } from "./image-picker.js";
import { gaussianKL } from "./model.js";
import { parseIndices } from "./url-state.js";
import { dimensionName } from "./view-sliders.js";

const toBits = (nats) => nats / Math.LN2;

export function klView(app, section) {
  const { data, state } = app, models = app.models.filter((model) => model.posterior);
  let model = models[0], picked = 0, off = new Set(), order = [];

  const picker = makePicker(app, "Image", (value) => { picked = value; update(); });
  section.querySelector(".pickers").append(picker.element);
  const items = models.map((one) => ({ value: one.key, label: one.name }));
  const modelButtons = buttonGroup("Model", items, (key) => { selectModel(key); update(); });
  if (models.length > 1) section.querySelector(".models").append(modelButtons.element);

  const images = ["the image", "all dimensions", "kept dimensions"].map((name) => [name, imageTile(data.size, name)]);
  const facts = h("dl", { class: "facts" }), conclusion = h("p", { class: "muted" });
  const kept = h("input", { type: "range", id: "kept", min: 0, step: 1, oninput: () => keepLargest(Number(kept.value)) });
  const keptCount = h("output", { for: "kept" });
  const figures = images.map(([name, image]) => h("figure", {}, image.canvas, h("figcaption", {}, name)));
  const label = h("label", { for: "kept", class: "caption" }, "Keep the dimensions with the largest KL: ");
  section.querySelector(".summary").append(
    h("div", { class: "card" }, h("div", { class: "three" }, ...figures)),
    h("div", { class: "card" }, facts, conclusion),
    h("div", { class: "card" }, label, keptCount, kept));
  const list = h("ol", { class: "kl-list" });
  section.querySelector(".dimensions").append(h("div", { class: "card" },
    h("h2", { class: "caption" }, "KL of each dimension for this image, largest first"), list));

  function selectModel(key) {
    model = models.find((one) => one.key === key) ?? models[0];
    off = new Set();
    modelButtons.press(model.key);
    kept.max = model.d;
  }
  function keepLargest(count) {
    off = new Set(order.slice(count));
    update();
  }
  function toggle(j) {
    if (!off.delete(j)) off.add(j);
    update();
    list.querySelector(`[data-dimension="${j}"]`).focus();
  }

  function update() {
    const x = pickedPixels(app, picked), code = model.encode(x), kl = gaussianKL(code);
    const z = code.mean.map((v, j) => (off.has(j) ? 0 : v));
    order = [...kl.keys()].sort((a, b) => kl[b] - kl[a]);
    [x, model.decode(code.mean), model.decode(z)].forEach((pixels, k) => images[k][1].paint(pixels));
    const total = sum(kl), used = sum(kl.map((v, j) => (off.has(j) ? 0 : v)));
    const losses = [model.reconstructionLoss(x, code.mean), model.reconstructionLoss(x, z)];
    facts.replaceChildren(...definitions([
      ["KL", `${number(used, 1)} of ${number(total, 1)} nats`],
      ["", `${number(toBits(used), 1)} of ${number(toBits(total), 1)} bits`],
      ["loss, all dimensions", `${number(losses[0], 1)} nats`],
      ["loss, kept dimensions", `${number(losses[1], 1)} nats`],
    ]));
    const saved = total - used, added = losses[1] - losses[0];
    conclusion.textContent = off.size
      ? `Saves ${number(saved, 1)} nats of KL and adds ${number(added, 1)} nats of reconstruction loss: `
        + `the dimensions that are off are ${added > saved ? "worth" : "not worth"} their KL.`
      : "Every dimension is on.";
    const largest = Math.max(...kl, 1e-9);
    list.replaceChildren(...order.map((j) => h("li", {}, makeRow(j, kl[j], largest))));
    kept.value = model.d - off.size;
    keptCount.textContent = `${model.d - off.size} of ${model.d}`;
    announce();
    state.update({
      model: model.key,
      i: picked,
      off: off.size ? [...off].join(",") : null,
      ...drawingStateOf(app, picked),
    });
  }
  const announce = debounce(() => { if (!section.hidden) app.announce(conclusion.textContent); }, 300);

  function makeRow(j, nats, largest) {
    const on = !off.has(j), bar = h("span", { class: "kl-bar" });
    bar.style.width = `${(100 * nats) / largest}%`;
    bar.style.background = themeColor(on ? model.role : "line");
    return h("button", {
      type: "button", class: "kl-row", role: "switch", "aria-checked": String(on), "data-dimension": j,
      "aria-label": `Dimension ${j + 1}: ${number(nats)} nats`, onclick: () => toggle(j),
    }, h("span", { class: "name" }, dimensionName(j)), h("span", { class: "kl-track" }, bar),
    h("span", { class: "value" }, on ? `${number(nats)} nats` : "off"));
  }
  document.addEventListener("themechange", () => { if (!section.hidden && order.length) update(); });

  return {
    show() {
      app.loadDrawing();
      picked = readPick(app, "i", app.firstOfClass(3));
      picker.show(picked);
      selectModel(state.get("model"));
      off = new Set(parseIndices(state.get("off"), model.d));
      update();
    },
    keepLargest,
  };
}
