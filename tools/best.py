"""Write docs/best.md and every trial as CSV from searches: make best.

    python tools/best.py SEARCH…

The sections of other searches stay as they are.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import markdown

from aelab.report.numbers import decimals, duration, quantity, setting_text
from aelab.report.search.conclusions import summary
from aelab.report.search.tables import settings, test_table
from aelab.runs.search import SearchFolder
from aelab.runs.search_results import Proof, SearchResults, Trial, load

DOCS = Path(__file__).parents[1] / "docs"
QUANTILE = 0.25  # of the trials, by value: what "good" means in the table of sensitivity


def page(searches: list[SearchResults], before: str = "") -> str:
    """Search space, results and proof of each search, as Markdown.

    ``before`` is the present page: its sections about other searches are kept.
    """
    head = (
        "# Search results\n\nWritten by `make best` from the searches of `make search`. "
        "[hyperparameters.md](hyperparameters.md) describes the search."
    )
    kept = re.split(r"^## (.*)\n\n", before, flags=re.MULTILINE)[1:]
    sections = dict(zip(kept[::2], map(str.strip, kept[1::2]), strict=True))
    for results in searches:
        heading = f"{results.model_title}, d = {results.latent_dim}"
        sections[heading] = "\n\n".join(_found(results))
    return "\n\n".join([head, *(f"## {h}\n\n{text}" for h, text in sections.items())]) + "\n"


def _found(results: SearchResults) -> Iterator[str]:
    yield " ".join(finding.lead for finding in summary(results))
    yield (
        f"The trials took {duration(results.manifest.get('seconds', 0.0))}; all of them "
        f"are in [{csv_name(results)}]({csv_name(results)})."
    )
    yield _sensitivity(results)
    yield (
        'Importance is the share of the variance among complete trials (fANOVA); "good" are the '
        f"settings of the best {QUANTILE:.0%} of them."
    )
    if results.proof:
        yield "### Proof"
        yield _contenders(results, results.proof)
        for title, reason in results.proof.failed:
            yield f"{title} failed with a fresh seed: {reason}"
        yield "On the test images, evaluated once; means over seeds with Student's 95% intervals:"
        yield _test(results, results.proof)


def _sensitivity(results: SearchResults) -> str:
    """Each setting: range, importance, values of the best trials, value of the chosen one."""
    shares = results.importances or {}
    complete = [results.trials[n] for n in results.best]
    good = complete[: max(1, round(QUANTILE * len(complete)))]
    proof = results.proof
    chosen = settings(results, proof.contender(proof.chosen)) if proof else {}
    rows = [
        [d.title, d.text, f"{shares[d.name]:.0%}" if d.name in shares else "",
         _span(good, d.name, bool(d.options)), chosen.get(d.title, "")]
        for d in results.dimensions
    ]  # fmt: skip
    return markdown(["setting", "range", "importance", "good", "chosen"], rows)


def _span(trials: list[Trial], name: str, options: bool) -> str:
    values = [trial.settings[name] for trial in trials]
    if not options:
        return f"{setting_text(min(values))} to {setting_text(max(values))}"
    counts = {setting_text(v): values.count(v) for v in sorted(values, key=values.count)[::-1]}
    return ", ".join(f"{value} ({count})" for value, count in counts.items())


def _contenders(results: SearchResults, proof: Proof) -> str:
    names = [dimension.title for dimension in results.dimensions]
    places = decimals([c.mean.value for c in proof.contenders])
    rows = [
        [f"**{c.title}**" if c.name == proof.chosen else c.title, str(c.epochs),
         quantity(c.mean, places=places), duration(c.seconds),
         *settings(results, c).values()]
        for c in proof.contenders
    ]  # fmt: skip
    header = ["", "epochs", f"{results.goal.label}, validation", "time", *names]
    return markdown(header, rows)


def _test(results: SearchResults, proof: Proof) -> str:
    table = test_table(results, proof)
    body = [
        [f"{row.head.title} in {row.head.unit}" if row.head.unit else row.head.title,
         *(f"{cell.text} {cell.interval}".strip() for cell in row.cells)]
        for _, rows in table.groups
        for row in rows
    ]  # fmt: skip
    titles = [head.title for head in table.heads[1:]]
    return markdown(["", *(t.replace(f"{titles[0]} −", "choice −") for t in titles)], body)


def csv_name(results: SearchResults) -> str:
    """The name of the CSV file of a search."""
    return f"search-{results.key}.csv"


if __name__ == "__main__":
    folders = [SearchFolder(Path(path)) for path in sys.argv[1:]]
    searches = [load(folder) for folder in folders]
    path = DOCS / "best.md"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(page(searches, before), encoding="utf-8")
    for folder, results in zip(folders, searches, strict=True):
        (DOCS / csv_name(results)).write_bytes(folder.read("trials.csv"))
