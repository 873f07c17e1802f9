"""Curves along an axis of a study, with the spread over its seeds."""

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aelab.report.figures.base import Drawing, figure
from aelab.report.figures.drawing import label_ends, note, panels, spread
from aelab.report.numbers import decimals, listing, number
from aelab.report.study.drawing import ALONG, SweepView, scale
from aelab.report.study.results import ClaimResult, Summary, Sweep
from aelab.report.style import INK, LINE, MUTED, model_color

# A panel each, with the metrics that share it, and how each of these is drawn.
PANELS: tuple[tuple[str, dict[str, tuple[str, str]]], ...] = (
    ("MSE per pixel", {"mse": ("", "-")}),
    ("−ELBO, nats", {"negative_elbo": ("", "-")}),
    ("Active units", {"active_units": ("", "-")}),
    (
        "Coverage",
        {
            "coverage_prior": ("prior", "-"),
            "coverage_gaussian": ("Gaussian", ":"),
            "coverage_mixture": ("mixture", "--"),
        },
    ),
    ("Logistic probe, accuracy", {"probe_accuracy": ("", "-")}),
    ("MMD² of the codes to N(0, I)", {"mmd2": ("", "-")}),
)
FROM_ZERO = ("Active units", "MSE per pixel", "Coverage")
RATE, DISTORTION = "kl", "elbo_reconstruction"
LEVEL = (0, (1, 2))  # dots
Series = list[tuple[int, Summary]]  # by the index of the place


@figure(ALONG, "rate-distortion", "Rate and distortion")
def rate_distortion(view: SweepView) -> Drawing | None:
    """The KL (rate) against the reconstruction term (distortion), in nats; bars are intervals over
    seeds. −ELBO is constant along a grey line; lower is better.
    """
    paths = {
        model: path
        for model in view.found.models
        if view.sweep.varies(model) and len(path := _path(view.sweep, model)) > 1
    }
    if not paths:
        return None
    drawn, [ax] = panels(1, height=3.6)
    for model, path in paths.items():
        color = view.color(model)
        rates, costs = (spread([pair[k] for pair in path.values()]) for k in (0, 1))
        ax.errorbar(
            rates[0], costs[0], costs[1], rates[1], color=color, marker="o", ms=4, elinewidth=1
        )
    _bounds(ax)
    for path in paths.values():
        _name(ax, path)
    ax.set(xlabel="rate: KL, nats", ylabel="distortion: reconstruction term, nats")
    texts = [
        f"{view.found.title(model)} at {label}: {number(rate.value, 1)} and {number(cost.value, 1)}"
        for model, path in paths.items()
        for label, (rate, cost) in path.items()
    ]
    return Drawing(drawn, f"nats along {view.sweep.title}, {listing(texts)}.")


def _path(sweep: Sweep, model: str) -> dict[str, tuple[Summary, Summary]]:
    pairs = zip(
        sweep.stops, sweep.series(model, RATE), sweep.series(model, DISTORTION), strict=True
    )
    return {stop.label: (rate, cost) for stop, rate, cost in pairs if rate and cost}


def _name(ax: Axes, path: dict[str, tuple[Summary, Summary]]) -> None:
    """Write the place at every point; points that all but coincide share one text."""
    width, height = (np.ptp(ends) for ends in (ax.get_xlim(), ax.get_ylim()))
    groups: dict[tuple[float, float], list[str]] = {}
    for label, (rate, cost) in path.items():
        near = (
            (x, y)
            for x, y in groups
            if abs(rate.value - x) < 0.03 * width and abs(cost.value - y) < 0.04 * height
        )
        groups.setdefault(next(near, (rate.value, cost.value)), []).append(label)
    for point, labels in groups.items():
        note(ax, ", ".join(labels), point, (5, 5), color=INK)


def _bounds(ax: Axes) -> None:
    """Lines of equal −ELBO = rate + distortion, named where they leave the frame."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    ax.set(xlim=(left, right), ylim=(low, high))
    for total in MaxNLocator(7).tick_values(left + low, right + high):
        ax.axline((left, total - left), slope=-1, color=LINE, linewidth=0.8, zorder=0)
        if low < total - right < high:
            end = (right, total - right)
            note(ax, number(total), end, (5, 0), va="center")
    note(ax, "−ELBO", (1, 1), (5, 2), xycoords="axes fraction")
    ax.grid(visible=False)


@dataclass(frozen=True)
class _Line:
    """A metric of a model by the index of the place."""

    model: str
    name: str
    style: str | tuple[int, tuple[int, int]]
    series: Series

    def __str__(self) -> str:
        places = decimals([summary.value for _, summary in self.series])
        first, last = (number(self.series[k][1].value, places) for k in (0, -1))
        if self.style == LEVEL:
            return f"{self.name} {first} throughout"
        return f"{self.name} from {first} to {last}"


@figure(ALONG, "measures", "Metrics")
def metrics(view: SweepView) -> Drawing | None:
    """Mean over the seeds; the band is the interval. The values of the setting are equally spaced;
    the claims are decided at the bold one. Dotted horizontal lines are models that the setting does
    not affect.
    """
    wanted = {title: lines for title, names in PANELS if (lines := _lines(view, names))}
    if not wanted:
        return None
    drawn, axes = panels(len(wanted), 2, height=2.4)
    for ax, (title, lines) in zip(axes, wanted.items(), strict=True):
        _places(ax, view.sweep)
        ax.set_title(title)
        ends: list[tuple[float, float, str, str]] = []
        for line in lines:
            color = view.color(line.model)
            _band(ax, line.series, color, line.style)
            ends.append((line.series[-1][0], line.series[-1][1].value, line.name, color))
        if title in FROM_ZERO:
            ax.set_ylim(bottom=0)
        label_ends(ax, ends)
    texts = [f"{title}: {listing(map(str, lines))}" for title, lines in wanted.items()]
    return Drawing(drawn, f"along {view.sweep.title}. {'. '.join(texts)}.")


def _lines(view: SweepView, names: dict[str, tuple[str, str]]) -> list[_Line]:
    """The lines of a panel; none if the setting moves none of them."""
    found, sweep = view.found, view.sweep
    lines = []
    for name, (label, style) in names.items():
        for model in (*found.models, *found.baselines):
            title = f"{found.title(model)} {label}".strip()
            base = found.base.models.get(model, {}).get(name)
            if sweep.varies(model):
                series = [(k, s) for k, s in enumerate(sweep.series(model, name)) if s]
                if len(series) > 1:
                    lines.append(_Line(model, title, style, series))
            elif base:
                level = [(k, base) for k in range(len(sweep.stops))]
                lines.append(_Line(model, title, LEVEL, level))
    return lines if any(line.style != LEVEL for line in lines) else []


def _band(ax: Axes, series: Series, color: str, style: Any = "-") -> None:
    at, summaries = zip(*series, strict=True)
    values, (below, above) = spread(summaries)
    marker = "" if style == LEVEL else "o"
    ax.plot(at, values, linestyle=style, color=color, marker=marker, markersize=3.2)
    ax.fill_between(at, values - below, values + above, color=color, alpha=0.16, linewidth=0)


def _places(ax: Axes, sweep: Sweep) -> None:
    """Equally spaced ticks, the base in bold."""
    ax.set_xticks(range(len(sweep.stops)), [stop.label for stop in sweep.stops])
    ax.set(xlim=(-0.25, len(sweep.stops) - 0.8), xlabel=sweep.title)
    ax.grid(visible=False, axis="x")
    for tick, stop in zip(ax.get_xticklabels(), sweep.stops, strict=True):
        if stop.base:
            tick.set(color=INK, fontweight="bold")


@figure(ALONG, "deltas", "The claims along the axis")
def deltas(view: SweepView) -> Drawing | None:
    """Δ of each claim along the axis: values above the dashed threshold support the claim. Only the
    value in bold decides the claims; the others are descriptive.
    """
    wanted = [
        (item, series) for item in view.found.claims if len(series := _course(item, view.sweep)) > 1
    ]
    if not wanted:
        return None
    drawn, axes = panels(len(wanted), 2, height=1.9)
    texts = []
    for ax, (item, series) in zip(axes, wanted, strict=True):
        _places(ax, view.sweep)
        _band(ax, series, model_color(item.favours, view.found.titles))
        ax.axhline(0, color=MUTED, linewidth=0.8)
        ax.axhline(item.margin, color=INK, linewidth=1, linestyle=(0, (3, 2)))
        scale(ax.yaxis, item.amount, *ax.get_ylim(), ticks=4)
        ax.set_title("\n".join(textwrap.wrap(f"{item.place}  {item.quantity}", 46)))
        ax.set_ylabel("" if item.amount.ratio else item.amount.unit)
        first, last = (item.amount.text(series[k][1])[0] for k in (0, -1))
        texts.append(f"Claim {item.place}: from {first} to {last}")
    return Drawing(drawn, f"Δ along {view.sweep.title}. {'. '.join(texts)}.")


def _course(item: ClaimResult, sweep: Sweep) -> Series:
    """Where the axis has the same Δ of the claim as the base."""
    found = [(k, stop.point.deltas.get(item.name)) for k, stop in enumerate(sweep.stops)]
    return [(k, delta[0]) for k, delta in found if delta and delta[1] == item.amount]
