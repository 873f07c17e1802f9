// The state of the page in the URL fragment, so that a view can be shared: #view=plane&at=…
import { debounce } from "./dom.js";

const readFragment = () => new URLSearchParams(location.hash.slice(1));

/** Get, update and replace the state; `onChange` is called when the fragment changes from outside. */
export function makeUrlState(onChange) {
  let current = readFragment(), written = location.hash;
  const write = debounce(() => {
    written = `#${current}`;
    history.replaceState(null, "", written);
  }, 150);
  addEventListener("hashchange", () => {
    if (location.hash === written) return;
    current = readFragment();
    written = location.hash;
    onChange();
  });
  return {
    get: (name) => current.get(name),
    replace(values) { current = new URLSearchParams(values); write(); },
    /** Set some values; null deletes one. */
    update(values) {
      for (const [name, value] of Object.entries(values)) {
        if (value === null) current.delete(name); else current.set(name, value);
      }
      write();
    },
  };
}

/** Finite numbers from "1,-2.5"; null unless there are exactly `count`. */
export function parseNumbers(text, count) {
  const values = (text ?? "").split(",").map(Number);
  return text && values.length === count && values.every(Number.isFinite) ? values : null;
}

/** Those integers of "1,2" that are below `count`. */
export function parseIndices(text, count) {
  return (text ?? "").split(",").filter((k) => /^\d+$/.test(k)).map(Number).filter((k) => k < count);
}

export const formatNumbers = (values, decimals = 3) => Array.from(values, (v) => Number(v.toFixed(decimals))).join(",");
