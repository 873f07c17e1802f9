// The page: unpack what was embedded, make the views, show the one that the address names.
import { draw } from "./codes.js";
import { setInverted } from "./dom.js";
import { makeJudge, makeModel } from "./model.js";
import { makeState } from "./state.js";
import { makeTour } from "./tour.js";
import { offer, picture } from "./picture.js";
import { rasterise, read, write } from "./strokes.js";
import { unpack } from "./unpack.js";
import { betweenView } from "./view-between.js";
import { bitsView } from "./view-bits.js";
import { drawView } from "./view-draw.js";
import { planeView } from "./view-plane.js";
import { slidersView } from "./view-sliders.js";

const MAKERS = { plane: planeView, sliders: slidersView, draw: drawView, between: betweenView, bits: bitsView };

async function makeApp(content) {
  const [height, width] = content.size, pixels = height * width;
  const [images, labels, judge, models] = await Promise.all([
    unpack(content.images), unpack(content.labels), makeJudge(content.judge, pixels),
    Promise.all(content.models.map((record) => makeModel(record, pixels))),
  ]);
  const data = {
    size: content.size, names: content.names, colors: content.colors, labels, count: labels.length,
    members: content.names.map((_, k) => [...labels.keys()].filter((i) => labels[i] === k)),
    image: (i) => Float32Array.from(images.subarray(i * pixels, (i + 1) * pixels), (v) => v / 255),
  };
  setInverted(content.inverted);
  const drawing = {
    strokes: [], image: null, index: null,
    empty: () => !drawing.image && !drawing.strokes.length,
    pixels: () => drawing.image ?? rasterise(drawing.strokes, data.size).map((v) => (content.inverted ? 1 - v : v)),
  };
  const status = document.getElementById("status");
  const say = (text) => { if (status.textContent !== text) status.textContent = text; };
  return { data, models, judge, drawing, rasterise, draw, say };
}

async function start() {
  const content = JSON.parse(document.getElementById("content-data").textContent);
  const app = await makeApp(content), { data, drawing } = app;
  const sections = new Map([...document.querySelectorAll("[data-view]")].map((section) => [section.dataset.view, section]));
  const links = [...document.querySelectorAll(".contents ol a")];
  app.state = makeState(apply);
  const state = app.state;

  /** The first test image of a class, or of the next that has one. */
  app.first = (label) => (data.members.slice(label).find((of) => of.length) ?? data.members.find((of) => of.length))[0];
  /** Take the drawing that the state names; with none anywhere, a test digit to begin with. */
  app.readDrawing = () => {
    const strokes = read(state.get("strokes") ?? ""), index = Number(state.get("copy") ?? NaN);
    if (strokes.length) Object.assign(drawing, { image: null, index: null }).strokes.splice(0, Infinity, ...strokes);
    else if (Number.isInteger(index) && index >= 0 && index < data.count) app.copy(index);
    else if (!drawing.strokes.length && !drawing.image) app.copy(app.first(2));
  };
  app.copy = (index) => {
    drawing.strokes.length = 0;
    Object.assign(drawing, { image: data.image(index), index });
  };
  /** The drawing for the state. */
  app.writeDrawing = () => ({ strokes: write(drawing.strokes) || null, copy: drawing.image ? drawing.index : null });
  app.go = (name, values = {}) => { state.reset({ view: name, ...values }); apply(); };

  const views = Object.fromEntries([...sections].map(([name, section]) => [name, MAKERS[name](app, section)]));
  app.views = views;

  function apply() {
    const name = sections.has(state.get("view")) ? state.get("view") : sections.keys().next().value;
    for (const [other, section] of sections) section.hidden = other !== name;
    for (const link of links) {
      if (link.hash === `#view=${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    state.keep({ view: name });
    document.title = `${sections.get(name).querySelector("h1").textContent} · ${content.run} · aelab explorer`;
    views[name].show();
    scrollTo({ top: 0, behavior: "instant" });
  }

  const [tourStart, save, main] = ["tour-start", "save", "content"].map((id) => document.getElementById(id));
  const tour = makeTour(app, document.querySelector(".tour"), views);
  tourStart.addEventListener("click", () => tour.start(tourStart));
  save.addEventListener("click", async () => {
    const name = content.run.replace(/[^\p{L}\p{N}._-]+/gu, "-"); // as files may be called anywhere
    offer(await picture(main), `${name}-${state.get("view")}.png`);
    app.say("Picture saved");
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the fragment is the state's
    main.focus();
  });
  tourStart.disabled = save.disabled = false;
  document.getElementById("loading").remove();
  apply();
  globalThis.aelab = app; // to play with in the console
  document.documentElement.dataset.ready = "";
}

start();
