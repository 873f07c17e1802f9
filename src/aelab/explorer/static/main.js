// Entry point: unpack the embedded content, build the views, show the one that the URL names.
import { sampleFrom } from "./codes.js";
import { setInverted } from "./dom.js";
import { makeClassifier, makeModel } from "./model.js";
import { decodeStrokes, encodeStrokes, rasterise } from "./rasterise.js";
import { download, renderPng } from "./save-png.js";
import { makeTour } from "./tour.js";
import { unpack } from "./unpack.js";
import { makeUrlState } from "./url-state.js";
import { drawView } from "./view-draw.js";
import { interpolateView } from "./view-interpolate.js";
import { klView } from "./view-kl.js";
import { planeView } from "./view-plane.js";
import { slidersView } from "./view-sliders.js";

const VIEWS = { plane: planeView, sliders: slidersView, draw: drawView, interpolate: interpolateView, kl: klView };

async function makeApp(content) {
  const [height, width] = content.size, pixels = height * width;
  const [images, labels, classifier, models] = await Promise.all([
    unpack(content.images), unpack(content.labels), makeClassifier(content.classifier, pixels),
    Promise.all(content.models.map((record) => makeModel(record, pixels))),
  ]);
  const data = {
    size: content.size, names: content.names, colors: content.colors, labels, count: labels.length,
    indicesByClass: content.names.map((_, k) => [...labels.keys()].filter((i) => labels[i] === k)),
    image: (i) => Float32Array.from(images.subarray(i * pixels, (i + 1) * pixels), (v) => v / 255),
  };
  setInverted(content.inverted);
  const drawing = {
    strokes: [], image: null, index: null, // an image replaces the strokes until something is drawn
    isEmpty: () => !drawing.image && !drawing.strokes.length,
    pixels: () => drawing.image ?? rasterise(drawing.strokes, data.size).map((v) => (content.inverted ? 1 - v : v)),
  };
  const status = document.getElementById("status");
  const announce = (text) => { if (status.textContent !== text) status.textContent = text; };
  return { data, models, classifier, drawing, rasterise, sampleFrom, announce };
}

async function start() {
  const content = JSON.parse(document.getElementById("content-data").textContent);
  const app = await makeApp(content), { data, drawing } = app;
  const sections = new Map([...document.querySelectorAll("[data-view]")].map((section) => [section.dataset.view, section]));
  const links = [...document.querySelectorAll(".contents ol a")];
  app.state = makeUrlState(showView);
  const state = app.state;

  /** The first test image of a class, or of the next class that has images. */
  app.firstOfClass = (label) => {
    const hasImages = (indices) => indices.length;
    return (data.indicesByClass.slice(label).find(hasImages) ?? data.indicesByClass.find(hasImages))[0];
  };
  app.copyTestImage = (index) => {
    drawing.strokes.length = 0;
    Object.assign(drawing, { image: data.image(index), index });
  };
  /** Load the drawing from the URL state; without one, start with a test digit. */
  app.loadDrawing = () => {
    const strokes = decodeStrokes(state.get("strokes") ?? ""), index = Number(state.get("copy") ?? NaN);
    if (strokes.length) Object.assign(drawing, { image: null, index: null }).strokes.splice(0, Infinity, ...strokes);
    else if (Number.isInteger(index) && index >= 0 && index < data.count) app.copyTestImage(index);
    else if (drawing.isEmpty()) app.copyTestImage(app.firstOfClass(2));
  };
  /** The drawing as values of the URL state. */
  app.drawingState = () => ({ strokes: encodeStrokes(drawing.strokes) || null, copy: drawing.image ? drawing.index : null });
  app.openView = (name, values = {}) => { state.replace({ view: name, ...values }); showView(); };

  const views = Object.fromEntries([...sections].map(([name, section]) => [name, VIEWS[name](app, section)]));
  app.views = views;

  function showView() {
    const name = sections.has(state.get("view")) ? state.get("view") : sections.keys().next().value;
    for (const [other, section] of sections) section.hidden = other !== name;
    for (const link of links) {
      if (link.hash === `#view=${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    state.update({ view: name });
    document.title = `${sections.get(name).querySelector("h1").textContent} · ${content.run} · aelab explorer`;
    views[name].show();
    scrollTo({ top: 0, behavior: "instant" });
  }

  const [tourStart, save, main] = ["tour-start", "save", "content"].map((id) => document.getElementById(id));
  const tour = makeTour(app, document.querySelector(".tour"));
  tourStart.addEventListener("click", () => tour.start(tourStart));
  save.addEventListener("click", async () => {
    const name = content.run.replace(/[^\p{L}\p{N}._-]+/gu, "-"); // a valid file name on every system
    download(await renderPng(main), `${name}-${state.get("view")}.png`);
    app.announce("Image saved");
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the URL fragment holds the state
    main.focus();
  });
  tourStart.disabled = save.disabled = false;
  document.getElementById("loading").remove();
  showView();
  globalThis.aelab = app; // for the browser's console
  document.documentElement.dataset.ready = "";
}

start();
