"""Curves along an axis of a study, with the spread over its seeds."""

from collections.abc import Iterator
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aelab.report.figures.base import Drawing, beside, label_ends, panels
from aelab.report.numbers import decimals, listing, number
from aelab.report.study.results import Found, Ruled, Summary, Sweep, setting_title
from aelab.report.study.scale import scale
from aelab.report.style import INK, LINE, MUTED, RC, model_color

# A panel each, with the measures that share it, and how each of these is drawn.
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
RATE, DISTORTION = "kl", "elbo_reconstruction"


@dataclass(frozen=True)
class _Shape:
    narrow: bool


@dataclass(frozen=True)
class _Line:
    """A measure of a model along the axis, or at the base only where the axis passes it by."""

    model: str
    label: str
    style: str
    series: list[Summary | None]
    flat: Summary | None

    @property
    def known(self) -> list[Summary]:
        return [summary for summary in self.series if summary]


def measures(found: Found, sweep: Sweep, narrow: bool) -> Drawing | None:
    """A panel a measure that at least one model has at two places of the axis."""
    wanted = [
        (title, lines) for title, names in PANELS if (lines := list(_lines(found, sweep, names)))
    ]
    if not wanted:
        return None
    with mpl.rc_context(RC):
        rows = -(-len(wanted) // 2)
        drawn, axes = panels(_Shape(narrow), rows, 2, height=2.1 if narrow else 2.4)
        for ax in axes[len(wanted) :]:
            ax.remove()
        for ax, (title, lines) in zip(axes, wanted, strict=False):
            _places(ax, sweep)
            ax.set(title=title, xlabel=setting_title(sweep.setting))
            ends = [end for line in lines if (end := _draw(ax, found, line))]
            _floor(ax, title)
            label_ends(ax, ends)
            if title == "Active units" and sweep.setting == "latent_dim":
                _all_units(ax, sweep)
    told = [f"{title}: {listing(_ends(found, line) for line in lines)}" for title, lines in wanted]
    alt = f"Measures along {setting_title(sweep.setting)}. {'. '.join(told)}."
    return Drawing(drawn, alt)


def _lines(found: Found, sweep: Sweep, names: dict[str, tuple[str, str]]) -> Iterator[_Line]:
    moving = []
    for name, (label, style) in names.items():
        for model in (*found.models, *found.baselines):
            series = sweep.series(model, name)
            varies = sweep.varies(model) and sum(s is not None for s in series) > 1
            flat = None if varies else found.base.models.get(model, {}).get(name)
            if varies or (flat and not sweep.varies(model)):
                moving.append(_Line(model, label, style, series if varies else [], flat))
    if any(line.series for line in moving):
        yield from moving


def _color(found: Found, model: str) -> str:
    return MUTED if model in found.baselines else model_color(model, found.titles)


def _draw(ax: Axes, found: Found, line: _Line) -> tuple[float, float, str, str] | None:
    color = _color(found, line.model)
    name = f"{found.title(line.model)} {line.label}".strip()
    edge = float(ax.get_xlim()[1])
    if line.flat:
        ax.axhline(line.flat.mean, color=color, linewidth=1, linestyle=(0, (1, 2)))
        if ends := line.flat.estimate.interval:
            ax.axhspan(*ends, color=color, alpha=0.08, linewidth=0)
        return edge, line.flat.mean, name, color
    at = [place for place, summary in enumerate(line.series) if summary]
    values = [summary.mean for summary in line.known]
    ax.plot(at, values, line.style, color=color, marker="o", markersize=3.2)
    bands = [(s.estimate.interval or (s.mean, s.mean)) for s in line.known]
    ax.fill_between(at, *np.transpose(bands), color=color, alpha=0.16, linewidth=0)
    return edge, values[-1], name, color


def _ends(found: Found, line: _Line) -> str:
    name = f"{found.title(line.model)} {line.label}".strip()
    summaries = line.known or ([line.flat] if line.flat else [])
    places = decimals([s.mean for s in summaries])
    ends = [number(s.mean, places) for s in (summaries[0], summaries[-1])]
    return f"{name} {ends[0]} throughout" if line.flat else f"{name} from {ends[0]} to {ends[1]}"


def _places(ax: Axes, sweep: Sweep) -> None:
    """Places at equal steps, the base marked."""
    ax.set_xticks(range(len(sweep.stops)), [stop.label for stop in sweep.stops])
    ax.set_xlim(-0.25, len(sweep.stops) - 0.8)
    ax.grid(visible=False, axis="x")
    for tick, stop in zip(ax.get_xticklabels(), sweep.stops, strict=True):
        if stop.base:
            tick.set(color=INK, fontweight="bold")


def _floor(ax: Axes, title: str) -> None:
    """Counts and shares of nothing begin at zero."""
    if title in ("Active units", "MSE per pixel", "Coverage"):
        ax.set_ylim(bottom=0)


def _all_units(ax: Axes, sweep: Sweep) -> None:
    """The line on which every dimension is active, as far as the frame goes."""
    sizes = [float(stop.label) for stop in sweep.stops]
    top = ax.get_ylim()[1]
    ax.plot(range(len(sizes)), sizes, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    ax.set_ylim(0, top)
    x = float(np.interp(top, sizes, range(len(sizes))))
    ax.annotate(
        "all d", (x, min(top, sizes[-1])), (-3, -2), textcoords="offset points", ha="right",
        va="top", fontsize=7, color=MUTED,
    )  # fmt: skip


def rate_distortion(found: Found, sweep: Sweep, narrow: bool) -> Drawing | None:
    """KL against the reconstruction term, with the lines on which −ELBO is the same."""
    paths = {
        model: path
        for model in found.models
        if sweep.varies(model) and len(path := _path(sweep, model)) > 1
    }
    if not paths:
        return None
    with mpl.rc_context(RC):
        drawn, [ax] = panels(_Shape(narrow), 1, 1, height=3.1 if narrow else 3.6)
        for model, path in paths.items():
            color = model_color(model, found.titles)
            rates, distortions = (
                [s.mean for s in part] for part in list(zip(*path, strict=True))[1:]
            )
            ax.plot(rates, distortions, color=color, marker="o", markersize=4)
            for _, rate, distortion in path:
                _cross(ax, rate, distortion, color)
        _bounds(ax)
        for path in paths.values():
            _name(ax, path)
        ax.set(xlabel="rate: KL, nats", ylabel="distortion: reconstruction term, nats")
    title = setting_title(sweep.setting)
    told = [
        f"{found.title(model)}: "
        + ", ".join(
            f"{label} at {number(r.mean, 1)} and {number(d.mean, 1)}" for label, r, d in path
        )
        for model, path in paths.items()
    ]
    return Drawing(drawn, f"Rate and distortion in nats along {title}. {'. '.join(told)}.")


def _path(sweep: Sweep, model: str) -> list[tuple[str, Summary, Summary]]:
    pairs = zip(
        sweep.stops, sweep.series(model, RATE), sweep.series(model, DISTORTION), strict=True
    )
    return [(stop.label, rate, cost) for stop, rate, cost in pairs if rate and cost]


def _cross(ax: Axes, rate: Summary, distortion: Summary, color: str) -> None:
    if ends := rate.estimate.interval:
        ax.plot(ends, [distortion.mean] * 2, color=color, linewidth=1)
    if ends := distortion.estimate.interval:
        ax.plot([rate.mean] * 2, ends, color=color, linewidth=1)


def _name(ax: Axes, path: list[tuple[str, Summary, Summary]]) -> None:
    """Write the place at every point; points that all but coincide share one text."""
    width, height = (np.ptp(ends) for ends in (ax.get_xlim(), ax.get_ylim()))
    groups: list[tuple[list[str], tuple[float, float]]] = []
    for label, rate, distortion in path:
        point = rate.mean, distortion.mean
        for labels, (x, y) in groups:
            if abs(point[0] - x) < 0.03 * width and abs(point[1] - y) < 0.04 * height:
                labels.append(label)
                break
        else:
            groups.append(([label], point))
    for labels, point in groups:
        ax.annotate(
            ", ".join(labels), point, (5, 5), textcoords="offset points", fontsize=7.5, color=INK,
            annotation_clip=False,
        )  # fmt: skip


def _bounds(ax: Axes) -> None:
    """Lines of equal −ELBO = rate + distortion, named where they leave the frame."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    ax.set(xlim=(left, right), ylim=(low, high))
    totals = MaxNLocator(7).tick_values(left + low, right + high)
    for total in totals:
        ax.plot([left, right], [total - left, total - right], color=LINE, linewidth=0.8, zorder=0)
        if low < total - right < high:
            beside(ax, number(total), (right, total - right), MUTED)
    ax.annotate(
        "−ELBO", (1, 1), (5, 2), xycoords="axes fraction", textcoords="offset points", fontsize=7.5,
        color=MUTED, annotation_clip=False,
    )  # fmt: skip
    ax.grid(visible=False)


def deltas(found: Found, sweep: Sweep, narrow: bool) -> Drawing | None:
    """The Δ of every claim along the axis, described and not decided."""
    wanted = [(item, series) for item in found.claims if len(series := _course(item, sweep)) > 1]
    if not wanted:
        return None
    with mpl.rc_context(RC):
        rows = -(-len(wanted) // 2)
        drawn, axes = panels(_Shape(narrow), rows, 2, height=1.75)
        for ax in axes[len(wanted) :]:
            ax.remove()
        for ax, (item, series) in zip(axes, wanted, strict=False):
            _claim(ax, found, sweep, item, series)
    told = []
    for item, series in wanted:
        (_, first), (_, last) = series[0], series[-1]
        texts = [item.amount.text(summary.estimate)[0] for summary in (first, last)]
        told.append(f"Claim {item.place}: from {texts[0]} to {texts[1]}")
    alt = f"The Δ of each claim along {setting_title(sweep.setting)}. {'. '.join(told)}."
    return Drawing(drawn, alt)


def _course(item: Ruled, sweep: Sweep) -> list[tuple[int, Summary]]:
    """Where the claim was measured along the axis by the same Δ as at the base."""
    series = []
    for place, stop in enumerate(sweep.stops):
        summary, amount = stop.spot.deltas.get(item.name, (None, None))
        if summary and amount == item.amount:
            series.append((place, summary))
    return series


def _claim(
    ax: Axes, found: Found, sweep: Sweep, item: Ruled, series: list[tuple[int, Summary]]
) -> None:
    _places(ax, sweep)
    color = model_color(item.favours, found.titles)
    at, summaries = zip(*series, strict=True)
    values = [summary.mean for summary in summaries]
    bands = [summary.estimate.interval or (summary.mean,) * 2 for summary in summaries]
    ax.plot(at, values, color=color, marker="o", markersize=3.2)
    ax.fill_between(at, *np.transpose(bands), color=color, alpha=0.16, linewidth=0)
    ax.axhline(0, color=MUTED, linewidth=0.8)
    ax.axhline(item.margin, color=INK, linewidth=1, linestyle=(0, (3, 2)))
    scale(ax.yaxis, item.amount, *ax.get_ylim(), ticks=4)
    ax.set(title=f"{item.place}  {_short(item.quantity)}", xlabel=setting_title(sweep.setting))
    ax.set_ylabel("" if item.amount.ratio else item.amount.unit)


def _short(text: str, most: int = 46) -> str:
    return text if len(text) <= most else text[: most - 1].rsplit(" ", 1)[0] + " …"
