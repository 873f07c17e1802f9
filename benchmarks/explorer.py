"""Latency of a pointer move in the explorer: both decoders of the plane.

    python benchmarks/explorer.py RUN

Needs Chromium and playwright. Timed by the page itself, from the pointer event to the
pixels of every decoder on their canvases.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

MOVES = 200
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
# The views decode within the event, so a move is drawn when dispatchEvent returns. Moves are one
# frame apart, as a browser sends them.
MEASURE = """async (moves) => {
  const { planes } = aelab.views.plane, [{ canvas }] = planes, box = canvas.getBoundingClientRect();
  const times = [];
  for (let k = 0; k < moves; k++) {
    const angle = 2.4 * k, reach = (0.45 * k) / moves;
    const at = {
      clientX: box.left + box.width * (0.5 + reach * Math.cos(angle)),
      clientY: box.top + box.height * (0.5 + reach * Math.sin(angle)),
      pointerType: "mouse",
    };
    const began = performance.now();
    canvas.dispatchEvent(new PointerEvent("pointermove", at));
    times.push(performance.now() - began);
    await new Promise(requestAnimationFrame);
  }
  return times;
}"""


def pointer_move(page: Path, moves: int = MOVES) -> dict[str, Any]:
    """Milliseconds from a move to both images, over a spiral of moves on ``explorer.html``."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        tab.goto(f"{page.resolve().as_uri()}#view=plane")
        tab.wait_for_selector("html[data-ready]")
        tab.wait_for_timeout(1_500)  # until the background is decoded
        times = tab.evaluate(MEASURE, moves)[20:]  # without the warm-up of the JIT compiler
        version = browser.version
        browser.close()
    return {
        "what": "explorer: pointer move, both decoders",
        "median_ms": statistics.median(times),
        "p95_ms": statistics.quantiles(times, n=20)[-1],
        "moves": len(times),
        "chromium": version,
    }


if __name__ == "__main__":
    print(json.dumps(pointer_move(Path(sys.argv[1]) / "explorer.html"), indent=1))
