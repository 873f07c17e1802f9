"use strict";

// Where the reader is, in the table of contents.
(() => {
  const links = new Map([...document.querySelectorAll(".contents a")].map((a) => [a.hash.slice(1), a]));
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -75% 0px" });
  for (const id of links.keys()) watch.observe(document.getElementById(id));
})();

// What a measure means, beside its name; the glossary holds the same text.
(() => {
  const tip = document.getElementById("tooltip");
  const glossary = document.querySelector(".glossary");
  const hide = () => { tip.hidden = true; };
  for (const term of document.querySelectorAll(".term")) {
    const show = () => {
      const about = document.getElementById(term.dataset.about);
      tip.textContent = about.querySelector("dd").textContent;
      tip.hidden = false;
      const at = term.getBoundingClientRect();
      const left = Math.min(at.left, innerWidth - tip.offsetWidth - 16);
      const below = at.bottom + tip.offsetHeight + 8 < innerHeight;
      tip.style.left = `${Math.max(16, left)}px`;
      tip.style.top = `${below ? at.bottom + 6 : at.top - tip.offsetHeight - 6}px`;
    };
    term.setAttribute("aria-describedby", "tooltip");
    term.addEventListener("pointerenter", show);
    term.addEventListener("focus", show);
    term.addEventListener("pointerleave", hide);
    term.addEventListener("blur", hide);
    term.addEventListener("click", () => { glossary.open = true; hide(); });
  }
  addEventListener("scroll", hide, { passive: true });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  addEventListener("beforeprint", () => { for (const d of document.querySelectorAll("details")) d.open = true; });
})();

// The latent planes: one selection, one filter, drawn in every plane.
(() => {
  const source = document.getElementById("plane-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const explorer = document.querySelector(".explorer");
  const [height, width] = data.size;
  const count = data.labels.length;
  const kept = new Set(); // classes to show; empty shows all
  const shown = (i) => kept.size === 0 || kept.has(data.labels[i]);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const reach = 28; // pixels within which a point answers
  let selected = 0;
  explorer.hidden = false;

  const load = (uri) => { const image = new Image(); image.src = uri; return image; };
  const sheets = new Map([["original", load(data.originals)]]);
  for (const plane of data.planes) sheets.set(plane.key, load(plane.sprite));

  const classes = data.names.map((_, k) => data.labels.flatMap((label, i) => (label === k ? [i] : [])));

  const planes = [...explorer.querySelectorAll(".plane")].map((canvas, index) => {
    const plane = data.planes[index];
    return { canvas, ...plane, px: new Float64Array(count), py: new Float64Array(count) };
  });

  function measure(plane) {
    const box = plane.canvas.getBoundingClientRect();
    plane.visible = box.width > 60; // not in a page that is being laid out or printed
    if (!plane.visible) return;
    const ratio = devicePixelRatio || 1;
    plane.size = [box.width, box.height];
    plane.canvas.width = Math.round(box.width * ratio);
    plane.canvas.height = Math.round(box.height * ratio);
    plane.context = plane.canvas.getContext("2d");
    plane.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const reachOut = plane.prior ? [-2.2, 2.2] : [];
    const ends = (values) => [Math.min(...values, ...reachOut), Math.max(...values, ...reachOut)];
    const [x0, x1] = ends(plane.x), [y0, y1] = ends(plane.y);
    const scale = Math.min((box.width - 36) / (x1 - x0 || 1), (box.height - 36) / (y1 - y0 || 1));
    plane.toX = (x) => box.width / 2 + (x - (x0 + x1) / 2) * scale;
    plane.toY = (y) => box.height / 2 - (y - (y0 + y1) / 2) * scale;
    plane.scale = scale;
    for (let i = 0; i < count; i++) {
      plane.px[i] = plane.toX(plane.x[i]);
      plane.py[i] = plane.toY(plane.y[i]);
    }
  }

  function axes(plane, c) {
    const [w, h] = plane.size;
    const rough = w / plane.scale / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((m) => m * power >= rough) * power;
    const places = Math.max(0, -Math.floor(Math.log10(step)));
    const write = (v) => v.toFixed(places).replace("-", "−");
    c.strokeStyle = css("--line");
    c.fillStyle = css("--muted");
    c.font = "11px system-ui, sans-serif";
    c.lineWidth = 1;
    c.beginPath();
    for (let k = -50; k <= 50; k++) {
      const x = plane.toX(k * step), y = plane.toY(k * step);
      if (x > 20 && x < w - 4) {
        c.moveTo(x, 0); c.lineTo(x, h);
        c.textAlign = "center"; c.fillText(write(k * step), x, h - 4);
      }
      if (y > 8 && y < h - 20) {
        c.moveTo(0, y); c.lineTo(w, y);
        c.textAlign = "left"; c.fillText(write(k * step), 2, y - 3);
      }
    }
    c.stroke();
    if (!plane.prior) return;
    c.strokeStyle = css("--muted");
    c.setLineDash([4, 4]);
    for (const k of [1, 2, 3]) {
      c.beginPath(); c.arc(plane.toX(0), plane.toY(0), k * plane.scale, 0, 7); c.stroke();
    }
    c.setLineDash([]);
  }

  function draw(plane) {
    if (!plane.visible) return;
    const c = plane.context, [w, h] = plane.size;
    c.clearRect(0, 0, w, h);
    axes(plane, c);
    const radius = count > 800 ? 2.2 : 3;
    classes.forEach((of, k) => {
      c.fillStyle = data.colors[k];
      c.globalAlpha = kept.size === 0 || kept.has(k) ? 0.85 : 0.08;
      c.beginPath();
      for (const i of of) {
        c.moveTo(plane.px[i] + radius, plane.py[i]);
        c.arc(plane.px[i], plane.py[i], radius, 0, 7);
      }
      c.fill();
    });
    c.globalAlpha = 1;
    c.font = "bold 12px system-ui, sans-serif";
    c.textAlign = "center";
    classes.forEach((_, k) => {
      const place = plane.medians[k];
      if (!place || (kept.size && !kept.has(k))) return;
      const x = plane.toX(place[0]), y = plane.toY(place[1]), half = c.measureText(data.names[k]).width / 2 + 5;
      c.fillStyle = css("--surface"); c.strokeStyle = data.colors[k]; c.lineWidth = 1.5;
      c.beginPath(); c.roundRect(x - half, y - 9, 2 * half, 18, 5); c.fill(); c.stroke();
      c.fillStyle = css("--ink"); c.fillText(data.names[k], x, y + 4);
    });
    if (selected >= 0) ring(plane, c);
  }

  function ring(plane, c) {
    const x = plane.px[selected], y = plane.py[selected];
    c.strokeStyle = css("--ink");
    if (plane.std) { // one standard deviation of the posterior
      const [sx, sy] = plane.std[selected];
      c.lineWidth = 1;
      c.beginPath(); c.ellipse(x, y, sx * plane.scale, sy * plane.scale, 0, 0, 7); c.stroke();
    }
    c.fillStyle = data.colors[data.labels[selected]];
    c.lineWidth = 2;
    c.beginPath(); c.arc(x, y, 6, 0, 7); c.fill(); c.stroke();
  }

  const round = (value) => value.toFixed(2).replace("-", "−");

  function inspect() {
    explorer.querySelector(".inspected .swatch").style.background = selected < 0 ? "transparent" : data.colors[data.labels[selected]];
    explorer.querySelector(".digit").textContent = selected < 0 ? "Point at a code" : data.names[data.labels[selected]];
    const places = selected < 0 ? [] : planes.map((p) => `${p.title} (${round(p.x[selected])}, ${round(p.y[selected])})`.replaceAll(" ", "\u00a0"));
    explorer.querySelector(".where").textContent = selected < 0 ? "" : `test image ${data.index[selected]}\n${places.join("  ")}`;
    for (const tile of explorer.querySelectorAll(".tile")) {
      tile.width = width; tile.height = height;
      const image = sheets.get(tile.dataset.sheet);
      if (selected < 0 || !image.complete) continue;
      const c = tile.getContext("2d");
      const left = (selected % data.columns) * width, top = Math.floor(selected / data.columns) * height;
      c.drawImage(image, left, top, width, height, 0, 0, width, height);
      c.globalCompositeOperation = "source-in"; // the sheet is a mask, the ink is the theme's
      c.fillStyle = css("--ink");
      c.fillRect(0, 0, width, height);
    }
  }

  function render() { inspect(); planes.forEach(draw); }
  let due = false;
  function later() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; render(); });
  }
  function select(i) { if (i !== selected) { selected = i; later(); } }

  function nearest(plane, x, y, accept) {
    let best = -1, least = Infinity;
    for (let i = 0; i < count; i++) {
      if (!shown(i)) continue;
      const distance = accept(plane.px[i] - x, plane.py[i] - y);
      if (distance < least) { least = distance; best = i; }
    }
    return [best, least];
  }

  const ahead = {
    ArrowRight: (dx, dy) => [dx, dy], ArrowLeft: (dx, dy) => [-dx, dy],
    ArrowDown: (dx, dy) => [dy, dx], ArrowUp: (dx, dy) => [-dy, dx],
  };
  for (const plane of planes) {
    const point = (event) => {
      const box = plane.canvas.getBoundingClientRect();
      const [i, distance] = nearest(plane, event.clientX - box.left, event.clientY - box.top, Math.hypot);
      if (distance <= reach) select(i);
    };
    plane.canvas.addEventListener("pointermove", point);
    plane.canvas.addEventListener("pointerdown", point);
    plane.canvas.addEventListener("keydown", (event) => {
      if (event.key === "Escape") select(-1);
      if (!(event.key in ahead)) return;
      event.preventDefault();
      const from = selected < 0 ? [0, 0] : [plane.px[selected], plane.py[selected]];
      const [next] = nearest(plane, ...from, (dx, dy) => {
        const [forward, aside] = ahead[event.key](dx, dy);
        return forward > 0.5 && Math.abs(aside) <= 2 * forward ? Math.hypot(forward, 2 * aside) : Infinity;
      });
      if (next < 0) return;
      select(next);
      explorer.querySelector("[role=status]").textContent =
        `${data.names[data.labels[next]]}, test image ${data.index[next]}`;
    });
    new ResizeObserver(() => { measure(plane); draw(plane); }).observe(plane.canvas);
  }

  const filter = explorer.querySelector(".filter");
  const chips = [];
  const press = () => {
    chips.forEach(([chip, k]) => chip.setAttribute("aria-pressed", k < 0 ? kept.size === 0 : kept.has(k)));
    later();
  };
  for (const k of [-1, ...data.names.keys()]) {
    if (k >= 0 && !classes[k].length) continue;
    const chip = document.createElement("button");
    chip.type = "button";
    if (k >= 0) {
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.background = data.colors[k];
      chip.append(swatch);
    }
    chip.append(k < 0 ? "All" : data.names[k]);
    chip.addEventListener("click", () => {
      if (k < 0) kept.clear();
      else if (!kept.delete(k)) kept.add(k);
      press();
    });
    chips.push([chip, k]);
    filter.append(chip);
  }
  planes.forEach(measure);
  press();
  document.addEventListener("themechange", later);
  Promise.allSettled([...sheets.values()].map((image) => image.decode())).then(render);
})();
