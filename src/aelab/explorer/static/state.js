// What is seen is in the URL's fragment, so that it can be shared: #view=plane&at=…
import { whenQuiet } from "./dom.js";

const params = () => new URLSearchParams(location.hash.slice(1));

/** The state: read a value, keep some (null forgets one), and hear of changes from outside. */
export function makeState(onChange) {
  let current = params(), written = location.hash;
  const write = whenQuiet(() => {
    written = `#${current}`;
    history.replaceState(null, "", written);
  }, 150);
  addEventListener("hashchange", () => {
    if (location.hash === written) return;
    current = params();
    written = location.hash;
    onChange();
  });
  return {
    get: (name) => current.get(name),
    /** Start anew with these values only. */
    reset(values) { current = new URLSearchParams(values); write(); },
    keep(values) {
      for (const [name, value] of Object.entries(values)) {
        if (value === null) current.delete(name); else current.set(name, value);
      }
      write();
    },
    toString: () => current.toString(),
  };
}

/** Finite numbers from "1,-2.5"; null unless there are exactly `count`. */
export function readNumbers(text, count) {
  const values = (text ?? "").split(",").map(Number);
  return text && values.length === count && values.every(Number.isFinite) ? values : null;
}

/** Those whole numbers of "1,2" that are below `count`. */
export function readIndices(text, count) {
  return (text ?? "").split(",").filter((k) => /^\d+$/.test(k)).map(Number).filter((k) => k < count);
}

export const writeNumbers = (values, places = 3) => Array.from(values, (v) => Number(v.toFixed(places))).join(",");
