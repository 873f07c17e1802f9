// What each dimension of a VAE's code costs for one image, and what is lost without it.
import { choice, css, h, number, tile, whenQuiet } from "./dom.js";
import { dimension } from "./view-sliders.js";
import { gaussianKL } from "./model.js";
import { readIndices } from "./state.js";
import { makePicker, pixelsOf, readPick } from "./picker.js";

const bits = (nats) => nats / Math.LN2;
const sum = (values) => values.reduce((total, v) => total + v, 0);

export function bitsView(app, section) {
  const { data, state } = app, models = app.models.filter((model) => model.posterior);
  let model = models[0], picked = 0, off = new Set(), found = null;

  const picker = makePicker(app, "Image", (value) => { picked = value; update(); });
  section.querySelector(".ends").append(picker.element);
  const items = models.map((one) => ({ value: one.key, label: one.name }));
  const chooser = choice("Model", items, (key) => { take(key); update(); });
  if (models.length > 1) section.querySelector(".models").append(chooser.element);

  const images = ["the image", "all dimensions", "what is kept"].map((name) => [name, tile(data.size, name)]);
  const facts = h("dl", { class: "pairs-of" }), lesson = h("p", { class: "muted" });
  const kept = h("input", { type: "range", id: "kept", min: 0, step: 1, oninput: () => keepDearest(Number(kept.value)) });
  const keptWords = h("output", { for: "kept" });
  const figures = images.map(([name, image]) => h("figure", {}, image.canvas, h("figcaption", {}, name)));
  const label = h("label", { for: "kept", class: "caption" }, "Keep the dearest dimensions: ");
  section.querySelector(".shown").append(
    h("div", { class: "card" }, h("div", { class: "trio" }, ...figures)),
    h("div", { class: "card" }, facts, lesson),
    h("div", { class: "card" }, label, keptWords, kept));
  const list = h("ol", { class: "cost-list" });
  section.querySelector(".costs").append(h("div", { class: "card" },
    h("h2", { class: "caption" }, "Cost of each dimension for this image, dearest first"), list));

  function take(key) {
    model = models.find((one) => one.key === key) ?? models[0];
    off = new Set();
    chooser.show(model.key);
    kept.max = model.d;
  }
  function keepDearest(count) {
    off = new Set(found.order.slice(count));
    update();
  }
  function toggle(j) {
    if (!off.delete(j)) off.add(j);
    update();
    list.querySelector(`[data-dimension="${j}"]`).focus();
  }

  function update() {
    const x = pixelsOf(app, picked), code = model.encode(x), kl = gaussianKL(code);
    found = { order: [...kl.keys()].sort((a, b) => kl[b] - kl[a]) };
    const z = code.mean.map((v, j) => (off.has(j) ? 0 : v));
    images[0][1].paint(x);
    images[1][1].paint(model.decode(code.mean));
    images[2][1].paint(model.decode(z));
    const spent = sum(kl.map((v, j) => (off.has(j) ? 0 : v))), all = sum(kl);
    const errors = [model.error(x, code.mean), model.error(x, z)];
    facts.replaceChildren(...[
      ["the code costs", `${number(spent, 1)} of ${number(all, 1)} nats`],
      ["", `${number(bits(spent), 1)} of ${number(bits(all), 1)} bits`],
      ["error, all dimensions", `${number(errors[0], 1)} nats`],
      ["error, what is kept", `${number(errors[1], 1)} nats`],
    ].flatMap(([term, fact]) => [h("dt", {}, term), h("dd", {}, fact)]));
    const saved = all - spent, lost = errors[1] - errors[0];
    const verdict = lost > saved ? "those dimensions earn what they cost" : "they cost more than they tell";
    lesson.textContent = off.size
      ? `Saves ${number(saved, 1)} nats of code and costs ${number(lost, 1)} nats of image: ${verdict}.`
      : "Every dimension is on.";
    const most = Math.max(...kl, 1e-9);
    list.replaceChildren(...found.order.map((j) => h("li", {}, costRow(j, kl[j], most))));
    kept.value = model.d - off.size;
    keptWords.textContent = `${model.d - off.size} of ${model.d}`;
    speak();
    keep();
  }
  const keep = () => state.keep({
    model: model.key,
    i: picked,
    off: off.size ? [...off].join(",") : null,
    ...(picked === "drawing" ? app.writeDrawing() : {}),
  });
  const speak = whenQuiet(() => { if (!section.hidden) app.say(lesson.textContent); }, 300);

  function costRow(j, nats, most) {
    const on = !off.has(j), bar = h("span", { class: "cost-bar" });
    bar.style.width = `${(100 * nats) / most}%`;
    bar.style.background = on ? css(model.role) : css("line");
    return h("button", {
      type: "button", class: "cost-row", role: "switch", "aria-checked": String(on), "data-dimension": j,
      "aria-label": `Dimension ${j + 1}: ${number(nats)} nats`, onclick: () => toggle(j),
    }, h("span", { class: "name" }, dimension(j)), h("span", { class: "cost-track" }, bar),
    h("span", { class: "sum" }, on ? `${number(nats)} nats` : "off"));
  }
  document.addEventListener("themechange", () => { if (!section.hidden && found) update(); });

  return {
    show() {
      app.readDrawing();
      picked = readPick(app, "i", app.first(3));
      picker.show(picked);
      take(state.get("model"));
      off = new Set(readIndices(state.get("off"), model.d));
      update();
    },
    keepDearest,
  };
}
