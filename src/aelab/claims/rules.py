"""The claims that a study decides, as data, and the rule that decides them.

A claim is frozen before the first training: ``frozen_hash`` is the SHA-256 of all that decides it,
its formula and threshold included. One more claim is one more record: ``claim(...)`` here, or a
table ``[[claim]]`` in a TOML file given to ``aelab study --claims`` (docs/studies.md).
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from aelab.claims import formula
from aelab.claims.formula import Measures
from aelab.claims.statistics import LEVEL, Interval, Paired, holm, seeds_needed, smallest_p
from aelab.config.base import Config, read_toml, sentence
from aelab.errors import AelabError

Verdict = Literal["supported", "refuted", "inconclusive", "not measured"]
RATIO = "ratio"


class Difference(Config):
    """A Δ in favour of a claim, and how much of it matters."""

    quantity: str = Field(description="What is compared, in words: “MSE, VAE over AE”.")
    delta: str = Field(description="The formula of a seed's Δ; larger speaks for the claim.")
    threshold: float = Field(
        ge=0, description="What matters, in the unit: Δ must lie beyond it. Of a ratio, at least 1."
    )
    unit: str = Field(
        "", description="Unit of Δ; “ratio” for the logarithm of one, which is shown as a ratio."
    )

    @model_validator(mode="after")
    def _meaningful(self) -> Self:
        formula.names(self.delta)
        if self.unit == RATIO and self.threshold < 1:
            raise ValueError("the threshold of a ratio is at least 1")
        return self

    @property
    def margin(self) -> float:
        """δ on the scale of Δ."""
        return math.log(self.threshold) if self.unit == RATIO else self.threshold

    def shown(self, value: float) -> float:
        """Δ as it is shown: a ratio for a logarithm of one."""
        return math.exp(value) if self.unit == RATIO else value


class Claim(Difference):
    """A statement about two models that paired seeds can support or refute."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Short, for tables and links.")
    says: str = Field(description="The claim in plain words, as a clause: “the AE …”.")
    favours: str = Field(description="The model that the claim speaks for, by name.")
    against: str = Field(description="The model that it is compared with.")
    unless: str | None = Field(
        None, description="Where this condition holds in any seed, ``instead`` is compared."
    )
    instead: Difference | None = Field(None, description="What is compared then, in every seed.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.unless is None) != (self.instead is None):
            raise ValueError("unless and instead go together")
        if not self.needs:  # also reads the formulas, and so refuses what is none
            raise ValueError("its formulas name no measure")
        return self

    @property
    def needs(self) -> tuple[tuple[str, str], ...]:
        """The (model, measure) pairs that it cannot do without."""
        formulas = [self.delta]
        if self.unless and self.instead:
            formulas += [self.unless, self.instead.delta]
        return tuple(dict.fromkeys(need for text in formulas for need in formula.names(text)))

    def measured(self, pair: Measures) -> bool:
        """Whether the models of a seed have every measure that the claim needs."""
        return all(pair.get(model, {}).get(measure) is not None for model, measure in self.needs)

    def compared(self, pairs: Iterable[Measures]) -> Difference:
        """The claim's own Δ, or the one instead of it: one and the same for all seeds."""
        if self.instead and self.unless:
            holds = any(formula.evaluate(self.unless, pair) for pair in pairs)
            return self.instead if holds else self
        return self


@dataclass(frozen=True)
class Decision:
    """What the seeds say about a claim; ``holm`` is p after correction over all claims."""

    claim: Claim
    compared: Difference
    deltas: Mapping[int, float]  # seed -> Δ
    mean: float | None
    interval: Interval | None
    effect: float | None
    p: float | None
    holm: float | None
    verdict: Verdict
    why: str


CLAIMS: dict[str, Claim] = {}


def claim(**settings: Any) -> Claim:
    """Register a claim; see :class:`Claim` for what it consists of."""
    made = Claim(**settings)
    if made.name in CLAIMS:
        raise AelabError(f"Two claims are named {made.name}: choose another name.")
    CLAIMS[made.name] = made
    return made


# Section 3 of the evaluation protocol, with its thresholds.
claim(
    name="reconstruction",
    says="the AE reconstructs better",
    favours="ae",
    against="vae",
    quantity="MSE per pixel, VAE over AE",
    delta="log(vae.mse / ae.mse)",
    threshold=1.10,
    unit=RATIO,
)
claim(
    name="features",
    says="the AE captures the essential features better",
    favours="ae",
    against="vae",
    quantity="accuracy of a logistic probe, AE − VAE",
    delta="100 * (ae.probe_accuracy - vae.probe_accuracy)",
    threshold=0.5,
    unit="points",
)
claim(
    name="regularity",
    says="the VAE’s latent distribution is more regular",
    favours="vae",
    against="ae",
    quantity="MMD² of the codes to N(0, I), AE over VAE",
    delta="log(ae.mmd2 / vae.mmd2)",
    threshold=2,
    unit=RATIO,
    # Within its null an MMD² is noise around zero and has no logarithm. The difference is then
    # taken in units of the null's 95% quantile and must exceed one: as the MMD² within its null is
    # at most one such unit, the other one is then more than twice as large, as the ratio asks.
    unless="ae.mmd2 <= ae.mmd2_null or vae.mmd2 <= vae.mmd2_null",
    instead=Difference(
        quantity="MMD² of the codes to N(0, I), AE − VAE, in units of its null’s 95% quantile",
        delta="(ae.mmd2 - vae.mmd2) / max(ae.mmd2_null, vae.mmd2_null)",
        threshold=1,
        unit="× null",
    ),
)
claim(
    name="holes",
    says="the VAE’s latent space has fewer holes",
    favours="vae",
    against="ae",
    quantity="draws that decode outside the real images’ 5-NN balls, AE − VAE",
    delta="100 * (ae.hole_share - vae.hole_share)",
    threshold=5,
    unit="points",
)
claim(
    name="interpolation",
    says="the VAE interpolates better",
    favours="vae",
    against="ae",
    quantity="same-class walks that keep their class, VAE − AE",
    delta="100 * (vae.interpolation_consistency - ae.interpolation_consistency)",
    threshold=2,
    unit="points",
)
claim(
    name="smoothness",
    says="the VAE’s decoder is smoother",
    favours="vae",
    against="ae",
    quantity="norm of the decoder’s Jacobian per spread of the codes, AE over VAE",
    delta="log(ae.decoder_smoothness / vae.decoder_smoothness)",
    threshold=1.10,
    unit=RATIO,
)
claim(
    name="variety-naive",
    says="the VAE’s samples are more varied, each model with its naive sampler",
    favours="vae",
    against="ae",
    quantity="coverage, VAE prior − AE Gaussian",
    delta="vae.coverage_prior - ae.coverage_gaussian",
    threshold=0.05,
)
claim(
    name="variety-fair",
    says="the VAE’s samples are more varied, with a fair sampler for the AE",
    favours="vae",
    against="ae",
    quantity="coverage, VAE prior − AE mixture of ten",
    delta="vae.coverage_prior - ae.coverage_mixture",
    threshold=0.05,
)


def decide(claims: Sequence[Claim], pairs: Mapping[int, Measures]) -> list[Decision]:
    """Decide every claim from the measures of each seed's models.

    Holm's correction runs over all claims, those that could not be measured included: what was
    frozen together is tested together. A seed that lacks a measure is left out of that claim.
    """
    found = [(item, *_deltas(item, pairs)) for item in claims]
    tests = {c.name: Paired(tuple(deltas.values())) for c, _, deltas in found if deltas}
    ps = {item.name: tests[item.name].p if item.name in tests else 1.0 for item in claims}
    corrected = holm(ps)
    return [
        _decided(item, compared, deltas, tests[item.name], corrected[item.name], len(claims))
        if deltas
        else _unmeasured(item, compared, pairs)
        for item, compared, deltas in found
    ]


def _deltas(item: Claim, pairs: Mapping[int, Measures]) -> tuple[Difference, dict[int, float]]:
    whole = {seed: pair for seed, pair in pairs.items() if item.measured(pair)}
    compared = item.compared(whole.values())
    values = {seed: formula.evaluate(compared.delta, pair) for seed, pair in whole.items()}
    return compared, {seed: value for seed, value in values.items() if value is not None}


def _decided(
    item: Claim,
    compared: Difference,
    deltas: dict[int, float],
    paired: Paired,
    corrected: float,
    claims: int,
) -> Decision:
    verdict, why = rule(paired.interval, corrected, compared.margin, len(deltas), claims)
    return Decision(
        item, compared, deltas, paired.mean, paired.interval, paired.effect, paired.p, corrected,
        verdict, why,
    )  # fmt: skip


def _unmeasured(item: Claim, compared: Difference, pairs: Mapping[int, Measures]) -> Decision:
    absent = [
        f"{model}.{measure}"
        for model, measure in item.needs
        if not any(pair.get(model, {}).get(measure) is not None for pair in pairs.values())
    ]
    why = f"No seed has {', '.join(absent)}." if absent else "No seed has a Δ that is defined."
    return Decision(item, compared, {}, None, None, None, None, None, "not measured", why)


def rule(
    interval: Interval | None, corrected: float, margin: float, seeds: int, claims: int
) -> tuple[Verdict, str]:
    """The verdict, and in a sentence what it hangs on; section 3 of the evaluation protocol.

    *Supported*: p after Holm below .05 and the 95% interval entirely beyond δ. *Refuted*: the
    interval entirely below δ. Otherwise *inconclusive*.
    """
    needed = seeds_needed(claims)
    few = (
        f"With {seeds} seed{'s' * (seeds != 1)} the smallest two-sided p is {smallest_p(seeds):g}: "
        + (f"{claims} claims need" if claims > 1 else "1 claim needs")
        + f" {needed} seeds."
    )
    if interval is None or interval.confidence < 1 - LEVEL:
        return "inconclusive", few
    if interval.high < margin:
        return "refuted", "The whole interval lies below the threshold."
    if interval.low <= margin:
        return "inconclusive", "The threshold lies within the interval."
    if corrected < LEVEL:
        return "supported", "The whole interval lies beyond the threshold and p is below .05."
    reason = (
        few
        if seeds < needed
        else "The interval lies beyond the threshold, but p after Holm is not below .05."
    )
    return "inconclusive", reason


def frozen_hash(claims: Iterable[Claim]) -> str:
    """The SHA-256 of all that decides the claims; equal data give an equal hash anywhere."""
    data = [item.model_dump(mode="json") for item in claims]
    text = json.dumps({"claims": data, "level": LEVEL}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def thaw(records: Iterable[Mapping[str, Any]], where: str) -> list[Claim]:
    """Claims of plain records; a mistake is told in one sentence."""
    claims = []
    for record in records:
        try:
            claims.append(Claim.model_validate(record))
        except ValidationError as error:
            name = str(record.get("name", "claim"))
            said = sentence(error, name, "docs/studies.md lists what a claim has")
            raise AelabError(f"In {where}: {said}") from None
    names = [item.name for item in claims]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise AelabError(f"In {where}: two claims are named {twice}; choose another name.")
    return claims


def load_claims(path: Path) -> list[Claim]:
    """The registered claims and those of a TOML file, a table ``[[claim]]`` each."""
    tables = read_toml(path).get("claim", [])
    if not tables or not isinstance(tables, list):
        raise AelabError(f"{path} holds no claim: write a table [[claim]] for each.")
    registered = [item.model_dump() for item in CLAIMS.values()]
    return thaw([*registered, *tables], str(path))
