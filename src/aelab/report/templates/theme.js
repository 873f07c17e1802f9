"use strict";

// The theme: the system's until the reader chooses.
(() => {
  const root = document.documentElement;
  const button = document.querySelector(".theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const say = () => {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to the ${dark() ? "light" : "dark"} theme`);
    document.dispatchEvent(new Event("themechange"));
  };
  try { root.dataset.theme = localStorage.getItem("aelab-theme") ?? ""; } catch { /* no storage */ }
  if (!root.dataset.theme) delete root.dataset.theme;
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("aelab-theme", root.dataset.theme); } catch { /* no storage */ }
    say();
  });
  system.addEventListener("change", say);
  say();
})();
