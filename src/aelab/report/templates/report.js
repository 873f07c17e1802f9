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

// What a metric means, beside its name; the glossary holds the same text.
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
