// The visible content of the page as a PNG: its elements are painted on a canvas, one by one.
import { circle, themeColor } from "./dom.js";

const MARGIN = 24;

/** A PNG blob of the visible content of `root`, in the colours of the theme. */
export async function renderPng(root) {
  const ratio = Math.max(2, devicePixelRatio || 1), box = root.getBoundingClientRect();
  const canvas = document.createElement("canvas"), c = canvas.getContext("2d");
  canvas.width = (box.width + 2 * MARGIN) * ratio;
  canvas.height = (box.height + 2 * MARGIN) * ratio;
  c.scale(ratio, ratio);
  c.fillStyle = themeColor("paper");
  c.fillRect(0, 0, canvas.width, canvas.height);
  c.translate(MARGIN - box.left, MARGIN - box.top);
  paint(c, root);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
}

function paint(c, element) {
  const style = getComputedStyle(element), box = element.getBoundingClientRect();
  if (style.display === "none" || style.visibility === "hidden" || !box.width) return;
  if (element.matches(".unseen, .tools")) return;
  paintBox(c, box, style);
  if (element.matches("canvas")) {
    c.imageSmoothingEnabled = style.imageRendering !== "pixelated";
    c.drawImage(element, box.left, box.top, box.width, box.height);
  } else if (element.matches("input[type=range]")) paintSlider(c, box, element);
  else if (element.matches("select")) {
    paintText(c, element.selectedOptions[0].textContent, box.left + 8, box.top + box.height / 2 + 4, style);
  } else for (const node of element.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) paintWords(c, node, style);
    else if (node.nodeType === Node.ELEMENT_NODE) paint(c, node);
  }
}

/** The background and border of an element. */
function paintBox(c, box, style) {
  const transparent = style.backgroundColor === "rgba(0, 0, 0, 0)", border = parseFloat(style.borderTopWidth);
  if (transparent && !border) return;
  const width = Math.max(0, box.width - border), height = Math.max(0, box.height - border);
  const radius = Math.min(parseFloat(style.borderTopLeftRadius) || 0, box.height / 2);
  c.beginPath();
  c.roundRect(box.left + border / 2, box.top + border / 2, width, height, radius);
  if (!transparent) { c.fillStyle = style.backgroundColor; c.fill(); }
  if (!border) return;
  c.strokeStyle = style.borderTopColor;
  c.lineWidth = style.boxShadow === "none" ? border : 2 * border; // a pressed button
  c.stroke();
}

function paintSlider(c, box, input) {
  const share = (input.value - input.min) / (input.max - input.min), y = box.top + box.height / 2;
  c.fillStyle = themeColor("line");
  c.fillRect(box.left, y - 1.5, box.width, 3);
  c.fillStyle = themeColor("ink");
  circle(c, box.left + 8 + share * (box.width - 16), y, 7);
  c.fill();
}

/** The words of a text node, each where the browser has laid it out. */
function paintWords(c, node, style) {
  const range = document.createRange();
  for (const { 0: word, index } of node.data.matchAll(/\S+/g)) {
    range.setStart(node, index);
    range.setEnd(node, index + word.length);
    const box = range.getBoundingClientRect();
    if (!box.width) continue;
    c.font = fontOf(style);
    const { fontBoundingBoxAscent: ascent, fontBoundingBoxDescent: descent } = c.measureText("x");
    paintText(c, word, box.left, box.top + (box.height + ascent - descent) / 2, style);
  }
}

const fontOf = (style) => `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;

function paintText(c, content, x, y, style) {
  c.font = fontOf(style);
  c.letterSpacing = style.letterSpacing === "normal" ? "0px" : style.letterSpacing;
  c.fillStyle = style.color;
  c.textAlign = "left";
  c.fillText(content, x, y);
}

/** Download a blob as a file. */
export function download(blob, name) {
  const url = URL.createObjectURL(blob), link = document.createElement("a");
  Object.assign(link, { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
