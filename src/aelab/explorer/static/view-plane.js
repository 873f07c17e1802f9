// The planes side by side: one cursor, at the same place of each picture; they pan and zoom together.
import { button, choice, h, number, onceAFrame, percent, swatch, tile, whenQuiet, who } from "./dom.js";
import { makePlane } from "./plane.js";
import { readIndices, readNumbers, writeNumbers } from "./state.js";

const HELP = "Arrow keys point, Enter pins, plus and minus zoom, 0 goes home.";

export function planeView(app, section) {
  const { data, state } = app;
  const kept = new Set(); // classes that stand out; empty is all
  const shown = (i) => kept.size === 0 || kept.has(data.labels[i]);
  let lead = null; // the plane that is pointed at; the others follow

  const planes = app.models.filter((model) => model.d === 2).map((model) => {
    const look = makeLook(app, model);
    const canvas = h("canvas", {
      class: "plane", tabindex: 0, role: "application", "aria-roledescription": "plane",
      "aria-label": `Latent plane of the ${model.title}: ${data.count} codes. ${HELP}`,
    });
    const plane = makePlane(canvas, model, data, {
      shown,
      onCursor(_, pinned) {
        lead = plane;
        for (const one of planes) one.plane.pinned = pinned;
        follow();
        keep();
      },
      onView() {
        for (const one of planes) if (one.plane !== plane) one.plane.toHome(plane.fromHome(), false);
        follow();
        keep();
      },
      onSize: () => follow(),
    });
    section.querySelector(".looks").append(look.element);
    section.querySelector(".planes").append(h("div", { class: "card" }, canvas));
    return { plane, look };
  });

  const toggles = [["grid", "Decoded grid"], ["holes", "Holes"]].map(([name, label]) => {
    return { name, button: button(label, () => { toggle(name, !planes[0].plane[name]); keep(); }) };
  });
  const zoom = (factor) => () => lead.zoom(factor, lead.toX(lead.cursor[0]), lead.toY(lead.cursor[1]));
  section.querySelector(".buttons").append(
    ...toggles.map((one) => one.button),
    button("−", zoom(1 / 1.5), { "aria-label": "Zoom out" }), button("+", zoom(1.5), { "aria-label": "Zoom in" }),
    button("Home", () => planes[0].plane.goHome()));

  const chips = choice("Show classes", [{ value: -1, label: "All" }, ...data.names.map((name, k) => ({
    value: k, label: h("span", { class: "chip" }, swatch(data.colors[k]), name),
  })).filter(({ value }) => data.members[value].length)], (k) => {
    if (k < 0) kept.clear(); else if (!kept.delete(k)) kept.add(k);
    press();
    keep();
  });
  section.querySelector(".filter").append(...chips.element.children);

  function press() {
    chips.show((k) => (k < 0 ? kept.size === 0 : kept.has(k)));
    for (const { plane } of planes) plane.changed();
  }
  function toggle(name, on) {
    for (const { plane } of planes) { plane[name] = on; plane.repaint(); }
    toggles.find((one) => one.name === name).button.setAttribute("aria-pressed", on);
  }

  /** Bring every cursor to the place of the leading one, and decode there. */
  function follow() {
    if (!lead?.cursor || !lead.view.width) return;
    const [right, down] = lead.shares(lead.cursor);
    for (const { plane, look } of planes) {
      if (!plane.view.width) continue;
      if (plane !== lead) plane.setCursor(plane.at(right * plane.view.width, down * plane.view.height));
      look.decode(plane.cursor);
    }
    describe();
  }
  const describe = onceAFrame(() => {
    for (const { plane, look } of planes) if (plane.cursor) look.describe(plane);
    speak();
  });
  const speak = whenQuiet(() => {
    if (!section.hidden) app.say(planes.map(({ look }) => look.words()).join(". "));
  }, 700);

  const keep = whenQuiet(() => {
    if (section.hidden || !lead) return;
    const { plane } = planes[0], home = plane.fromHome();
    state.keep({
      at: lead.cursor && `${lead.model.key}:${writeNumbers(lead.cursor)}`,
      pin: lead.pinned ? 1 : null,
      zoom: Math.abs(home[2] - 1) + Math.abs(home[0]) + Math.abs(home[1]) > 1e-3 ? writeNumbers(home) : null,
      only: kept.size ? [...kept].join(",") : null,
      grid: plane.grid ? null : 0,
      holes: plane.holes ? null : 0,
    });
  }, 100);

  return {
    /** Show what the state says; the tour sets it too. */
    show() {
      const [key, z] = (state.get("at") ?? "").split(":");
      const found = planes.find((one) => one.plane.model.key === key), numbers = readNumbers(z, 2);
      lead = (found ?? planes[0]).plane;
      lead.setCursor(found && numbers ? numbers : Object.values(lead.model.places).at(-3) ?? [lead.home.x, lead.home.y]);
      for (const { plane } of planes) {
        plane.pinned = state.get("pin") === "1";
        plane.toHome(readNumbers(state.get("zoom"), 3) ?? [0, 0, 1], false);
      }
      kept.clear();
      for (const k of readIndices(state.get("only"), data.names.length)) kept.add(k);
      toggle("grid", state.get("grid") !== "0");
      toggle("holes", state.get("holes") !== "0");
      press();
      follow();
    },
    planes: planes.map((one) => one.plane),
  };
}

/** What one decoder draws at the cursor, in words too. */
function makeLook(app, model) {
  const { data } = app, name = `Decoded by the ${model.title}`;
  const image = tile(data.size, name), neighbour = tile(data.size, "Nearest test digit");
  const pixels = new Float32Array(data.size[0] * data.size[1]);
  const where = h("span", {}), what = h("p", { class: "muted" }), place = h("p", { class: "muted" });
  const caption = h("span", {});
  let said = "";
  return {
    element: h("div", { class: "card look" }, image.canvas,
      h("div", { class: "words" }, h("p", { class: "where" }, who(model, false), where), what, place),
      h("div", { class: "near" }, neighbour.canvas, caption)),
    decode(z) { image.paint(model.decode(z, pixels)); },
    describe(plane) {
      const { label, probability } = app.judge.tell(pixels), { inside, index, distance } = plane.look(plane.cursor);
      const [x, y] = plane.cursor.map((v) => number(v));
      const nearest = data.names[data.labels[index]];
      where.textContent = ` (${x}, ${y})`;
      what.textContent = `looks like ${data.names[label]}, ${percent(probability)} sure`;
      const near = inside ? "among the codes" : h("span", { class: "hole" }, "no code near");
      place.replaceChildren(near, h("span", { class: "more" }, ` · nearest ${number(distance)} away`));
      neighbour.paint(data.image(index), `Nearest test digit: ${nearest}`);
      caption.textContent = `nearest: ${nearest}`;
      image.canvas.setAttribute("aria-label", `${name}: looks like ${data.names[label]}`);
      said = `${model.title} at ${x}, ${y}: ${what.textContent}, ${inside ? "among the codes" : "no code near"}`;
    },
    words: () => said,
  };
}
