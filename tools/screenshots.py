"""Screenshots of a run's pages in Chromium: make screenshots RUN=runs/…

Writes {report,explorer-VIEW}-{desktop,phone}-{light,dark}.png (whole pages), and the README's
images report.png and explorer.png.
"""

import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
PAGES = {"report": "report.html"} | {
    f"explorer-{view}": f"explorer.html#view={view}"
    for view in ("plane", "sliders", "draw", "interpolate", "kl")
}
README = {"report": "report.png", "explorer-plane": "explorer.png"}


def main(run: Path, folder: Path) -> None:
    """Take every screenshot."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        for name, page in PAGES.items():
            address = f"{run.resolve().as_uri()}/{page}"
            for size in SIZES:
                for scheme in ("light", "dark"):
                    take(browser, address, size, scheme, name, folder)
        browser.close()


def take(browser: Browser, address: str, size: str, scheme: str, name: str, folder: Path) -> None:
    """One page in one size and one theme, and once more for the README if it is shown there."""
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(address)
    if name != "report":
        page.wait_for_selector("html[data-ready]")
    page.wait_for_timeout(2_000)  # until animations end
    if (size, scheme) == ("desktop", "light") and name in README:
        page.screenshot(path=folder / README[name])
    page.screenshot(path=folder / f"{name}-{size}-{scheme}.png", full_page=True)
    page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "docs/images"))
