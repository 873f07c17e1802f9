"""The claims against outside oracles: the test by enumeration, Holm by a textbook, the rule."""

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aelab.claims.claim import CLAIMS, Claim, Values, claim, frozen_hash, load_claims, read_claims
from aelab.claims.rules import decide, rule
from aelab.claims.statistics import Interval, Paired, holm, seeds_needed, smallest_p
from aelab.errors import AelabError

FIVE = (0.8, -0.3, 1.1, 0.6, -0.1)
TEN = tuple(np.random.default_rng(1).normal(0.4, 0.5, 10))


def test_sign_flip_by_hand() -> None:
    """Three seeds, eight flips: only + + + and − − − are as far from zero as what was seen."""
    assert Paired((1.0, 2.0, 3.0)).p == 2 / 8
    # −1 + 2 + 3 = 4; as far are ±(−1, 2, 3) and ±(1, 2, 3).
    assert Paired((-1.0, 2.0, 3.0)).p == 4 / 8
    assert Paired((0.0, 0.0)).p == 1.0


@pytest.mark.parametrize("deltas", [FIVE, TEN, tuple(-x for x in TEN)])
def test_sign_flip_by_full_enumeration(deltas: tuple[float, ...]) -> None:
    seen = abs(sum(deltas))
    flips = [
        abs(sum(s * d for s, d in zip(signs, deltas, strict=True))) >= seen - 1e-12
        for signs in itertools.product((1, -1), repeat=len(deltas))
    ]
    assert Paired(deltas).p == pytest.approx(np.mean(flips))
    oracle = stats.permutation_test(
        (np.array(deltas),),
        lambda x: float(np.mean(x)),
        permutation_type="samples",
        vectorized=False,
        n_resamples=2**14,
    )
    assert Paired(deltas).p == pytest.approx(oracle.pvalue)


def test_many_seeds_are_drawn_and_say_so() -> None:
    deltas = tuple(np.random.default_rng(2).normal(0.25, 1, 24))
    drawn = Paired(deltas)
    assert not drawn.exact
    assert Paired(deltas[:20]).exact
    assert drawn.p == Paired(deltas).p  # seeded
    # The distribution over all flips: 2^24 sums, by splitting the seeds into halves.
    halves = []
    for half in (deltas[:12], deltas[12:]):
        sums = np.zeros(1)
        for d in half:
            sums = np.concatenate([sums - d, sums + d])
        halves.append(sums)
    first, second = halves[0], np.sort(halves[1])
    beyond = len(second) - np.searchsorted(second, abs(sum(deltas)) - 1e-12 - first)
    exact = 2 * beyond.sum() / 2**24
    assert drawn.p == pytest.approx(exact, abs=5 * math.sqrt(exact / 200_000))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1, 3).map(lambda x: round(x, 3)), min_size=6, max_size=11))
def test_the_interval_leaves_out_zero_exactly_when_the_test_rejects(deltas: list[float]) -> None:
    paired = Paired(tuple(deltas))
    interval = paired.interval
    assert interval is not None
    assert 0.95 <= interval.confidence < 0.97
    if min(abs(interval.low), abs(interval.high)) > 1e-9:  # else a tie, up to rounding
        assert (paired.p <= 1 - interval.confidence + 1e-12) == (
            not interval.low <= 0 <= interval.high
        )


def test_the_interval_by_hand_and_its_coverage() -> None:
    # Subset means of three numbers: 1, 2, 6, 1.5, 3.5, 4, 3; the range is all that three can say.
    assert Paired((1.0, 2.0, 6.0)).interval == Interval(1.0, 6.0, 1 - 2 / 8)
    assert Paired((1.0,)).interval is None
    generator = np.random.default_rng(3)
    intervals = [Paired(tuple(row)).interval for row in generator.laplace(0.7, 1, (400, 8))]
    held = np.mean([i.low <= 0.7 <= i.high for i in intervals if i])
    assert held == pytest.approx(1 - 2 * 6 / 256, abs=0.035)  # 3 standard errors


def test_effect_size_against_the_formula() -> None:
    g = np.mean(TEN) / np.std(TEN, ddof=1)
    assert Paired(TEN).effect == pytest.approx(
        g * (1 - 3 / (4 * 9 - 1)), rel=1e-3
    )  # its usual form
    assert Paired((1.0, 2.0)).effect is None
    assert Paired((1.0, 1.0, 1.0)).effect is None


def test_holm_by_a_textbook_example() -> None:
    """Holm (1979): .01, .04, .03, .005 of four hypotheses become .03, .06, .06, .02."""
    p = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    assert holm(p) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(holm(p)) == ["a", "b", "c", "d"]
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}
    assert holm({"only": 0.04}) == {"only": 0.04}


def test_eight_claims_need_nine_seeds() -> None:
    assert smallest_p(3) == 0.25
    assert (seeds_needed(8), seeds_needed(1)) == (9, 6)


IN, OUT = 0.049, 0.05  # p after Holm, inside and outside


@pytest.mark.parametrize(
    ("low", "high", "corrected", "verdict"),
    [
        (0.11, 0.30, IN, "supported"),
        (0.11, 0.30, OUT, "inconclusive"),  # beyond δ, but p is not below .05
        (0.10, 0.30, IN, "inconclusive"),  # touches δ
        (0.05, 0.30, IN, "inconclusive"),
        (0.01, 0.09, IN, "refuted"),  # there is a difference, too small to matter
        (-0.30, -0.20, IN, "refuted"),
        (-0.30, -0.20, OUT, "refuted"),  # a refutation asks for no p
        (0.01, 0.10, IN, "inconclusive"),  # touches δ
    ],
)
def test_the_rule(low: float, high: float, corrected: float, verdict: str) -> None:
    assert rule(Interval(low, high, 0.951), corrected, 0.10, 10, 8)[0] == verdict


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_too_few_seeds_decide_nothing_and_say_how_many_would(seeds: int) -> None:
    pairs = {s: whole_pair(vae_mse=0.02 + s * 1e-4) for s in range(seeds)}
    decisions = decide([CLAIMS["reconstruction"]], pairs)
    assert decisions[0].verdict == "inconclusive"
    assert "1 claim needs 6 seeds" in decisions[0].why
    assert f"With {seeds} seed" in decisions[0].why


def test_seven_seeds_refute_but_cannot_support_eight_claims() -> None:
    pairs = {s: whole_pair(vae_mse=0.02 + s * 1e-4) for s in range(7)}
    by_name = {d.claim.name: d for d in decide(list(CLAIMS.values()), pairs)}
    first = by_name["reconstruction"]
    assert first.paired is not None
    assert first.paired.p == 2 / 128
    assert first.holm == pytest.approx(16 / 128)
    assert first.verdict == "inconclusive"
    assert "8 claims need 9 seeds" in first.why
    assert by_name["features"].verdict == "refuted"


def whole_pair(**changes: float) -> dict[str, dict[str, float | None]]:
    """Values of a pair that differ in nothing but ``changes``, such as ``vae_mse=0.02``."""
    measured = {
        "mse": 0.01, "probe_accuracy": 0.9, "mmd2": 0.02, "mmd2_null": 0.001, "hole_share": 0.1,
        "interpolation_consistency": 0.5, "decoder_smoothness": 1.0, "coverage_prior": 0.7,
        "coverage_gaussian": 0.7, "coverage_mixture": 0.7,
    }  # fmt: skip
    pair: dict[str, dict[str, float | None]] = {"ae": dict(measured), "vae": dict(measured)}
    pair["ae"]["coverage_prior"] = None
    for name, value in changes.items():
        model, _, measure = name.partition("_")
        assert measure in measured
        pair[model][measure] = value
    return pair


# Ten seeds in which each of the eight claims holds, and in which its opposite does.
FOR = {
    "reconstruction": {"vae_mse": 0.02}, "features": {"ae_probe_accuracy": 0.95},
    "regularity": {"vae_mmd2": 0.005}, "holes": {"ae_hole_share": 0.3},
    "interpolation": {"vae_interpolation_consistency": 0.6},
    "smoothness": {"ae_decoder_smoothness": 2.0}, "variety-naive": {"ae_coverage_gaussian": 0.5},
    "variety-fair": {"ae_coverage_mixture": 0.5},
}  # fmt: skip
AGAINST = {
    "reconstruction": {"vae_mse": 0.005}, "features": {"ae_probe_accuracy": 0.85},
    "regularity": {"vae_mmd2": 0.1}, "holes": {"ae_hole_share": 0.01},
    "interpolation": {"vae_interpolation_consistency": 0.3},
    "smoothness": {"ae_decoder_smoothness": 0.5}, "variety-naive": {"ae_coverage_gaussian": 0.9},
    "variety-fair": {"ae_coverage_mixture": 0.9},
}  # fmt: skip


@pytest.mark.parametrize("name", CLAIMS)
def test_each_claim_is_supported_and_refuted_by_its_own_measures_alone(name: str) -> None:
    def seeds(changes: dict[str, float]) -> dict[int, dict[str, dict[str, float | None]]]:
        return {
            s: whole_pair(**{k: v * (1 + 0.001 * s) for k, v in changes.items()}) for s in range(10)
        }

    for changes, verdict in ((FOR[name], "supported"), (AGAINST[name], "refuted")):
        decisions = {d.claim.name: d for d in decide(list(CLAIMS.values()), seeds(changes))}
        assert decisions[name].verdict == verdict
        others = {d.verdict for n, d in decisions.items() if n != name}
        assert others == {"refuted"}  # no difference at all lies below every threshold


def test_claim_three_takes_the_difference_where_an_mmd_is_within_its_null() -> None:
    regularity = CLAIMS["regularity"]
    pairs = {s: whole_pair(vae_mmd2=0.004) for s in range(10)}
    [ratio] = decide([regularity], pairs)
    assert ratio.contrast.unit == "ratio"
    assert ratio.paired is not None
    assert ratio.paired.mean == pytest.approx(math.log(5))
    # One seed within its null, even below zero: all seeds are compared by the difference.
    pairs[3] = whole_pair(vae_mmd2=-0.0002)
    [difference] = decide([regularity], pairs)
    assert difference.contrast.unit == "× null"
    assert len(difference.deltas) == 10
    assert difference.deltas[3] == pytest.approx(0.0202 / 0.001)
    assert difference.verdict == "supported"


def test_what_was_not_measured_is_not_guessed() -> None:
    pairs = {s: whole_pair(vae_mse=0.02) for s in range(10)}
    for pair in pairs.values():
        del pair["ae"]["mmd2_null"]  # only the condition needs it, and so does the claim
        pair["vae"]["hole_share"] = None
    del pairs[4]["vae"]["mse"]
    by_name = {d.claim.name: d for d in decide(list(CLAIMS.values()), pairs)}
    assert by_name["regularity"].verdict == by_name["holes"].verdict == "not evaluated"
    assert by_name["regularity"].why == "No seed has ae.mmd2_null."
    assert by_name["holes"].paired is None
    assert sorted(by_name["reconstruction"].deltas) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    # The two stay among the eight: p is corrected as was frozen.
    assert by_name["reconstruction"].holm == pytest.approx(8 * 2 / 2**9)


def test_the_protocol_s_thresholds() -> None:
    margins = [c.own.margin for c in CLAIMS.values()]
    log = math.log
    assert margins == pytest.approx([log(1.1), 0.5, log(2), 5, 2, log(1.1), 0.05, 0.05])


def test_the_hash_is_of_the_data_alone() -> None:
    claims = list(CLAIMS.values())
    assert frozen_hash(claims) == frozen_hash(
        read_claims([c.model_dump(mode="json") for c in claims], "")
    )
    for change in ({"threshold": 1.2}, {"measure": "ssim"}, {"says": "x"}):
        assert frozen_hash([claims[0].model_copy(update=change), *claims[1:]]) != frozen_hash(
            claims
        )
    assert frozen_hash(claims[:7]) != frozen_hash(claims)


def test_a_claim_of_one_s_own_is_a_few_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.toml"
    docs = (Path(__file__).parents[1] / "docs" / "studies.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"```toml\n(.*?)```", docs, re.DOTALL)
    path.write_text(shown, encoding="utf-8")
    claims = load_claims(path)
    assert [c.name for c in claims] == [*CLAIMS, "neighbours"]
    pairs = {s: {"ae": {"knn_accuracy": 0.9}, "vae": {"knn_accuracy": 0.95}} for s in range(10)}
    assert decide(claims, pairs)[-1].verdict == "supported"
    monkeypatch.setattr("aelab.claims.claim.CLAIMS", dict(CLAIMS))
    claim(**claims[-1].model_dump())
    with pytest.raises(AelabError, match="Two claims are named neighbours"):
        claim(**claims[-1].model_dump())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "a b"', "a b.name: string should match pattern"),
        ("treshold = 1", "there is no setting new.treshold; docs/studies.md"),
        ('delta = "vae.mse - ae.mse"', "new is a formula, as claims were in older versions"),
        ('contrast = "ratio"\nthreshold = 0.9', "the threshold of a ratio is at least 1"),
        ('contrast = "ratio"\nscale = 100.0', "a ratio has neither unit nor scale"),
        ('contrast = "product"', "new.contrast: input should be 'difference' or 'ratio'"),
        ('null = { measure = "a", quantity = "x" }', "null belongs to a ratio"),
        ('measure = { vae = "mse" }', "measure names one for each of ae and vae"),
        ('against = "ae"', "favours and against name the same model"),
        ('name = "holes"', "two claims are named holes"),
        ("= 3", "is not TOML"),
    ],
)
def test_a_bad_claim_is_refused_in_a_sentence(text: str, said: str, tmp_path: Path) -> None:
    given_keys = {line.split(" = ")[0] for line in text.splitlines()}
    rest = {
        "name": '"new"', "says": '"x"', "favours": '"ae"', "against": '"vae"', "quantity": '"x"',
        "measure": '"mse"', "threshold": "1.0",
    }  # fmt: skip
    lines = [f"{key} = {value}" for key, value in rest.items() if key not in given_keys]
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(["[[claim]]", *lines, text]))
    with pytest.raises(AelabError) as error:
        load_claims(path)
    assert said in str(error.value)
    assert "mine.toml" in str(error.value)


def test_an_absent_or_empty_file_of_claims_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AelabError, match="Cannot read"):
        load_claims(tmp_path / "absent.toml")
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(AelabError, match="holds no claim"):
        load_claims(tmp_path / "empty.toml")


@pytest.mark.parametrize(
    ("contrast", "deltas"),
    [
        ({}, {0: 3.0, 1: -2.0, 2: -1.0}),
        ({"better": "lower"}, {0: -3.0, 1: 2.0, 2: 1.0}),
        ({"scale": 100}, {0: 300.0, 1: -200.0, 2: -100.0}),
        ({"contrast": "ratio"}, {0: math.log(4)}),
        ({"contrast": "ratio", "better": "lower"}, {0: -math.log(4)}),
        ({"measure": {"ae": "b", "vae": "a"}}, {0: 2.0}),
    ],
)
def test_a_contrast_of_two_measures(contrast: dict[str, object], deltas: dict[int, float]) -> None:
    """Left out: a missing measure, a value of none, a ratio with zero or of opposite signs."""
    pairs: dict[int, Values] = {
        0: {"ae": {"a": 1.0, "b": 2.0}, "vae": {"a": 4.0}},
        1: {"ae": {"a": 1.0, "b": None}, "vae": {"a": -1.0}},
        2: {"ae": {"a": 1.0}, "vae": {"a": 0.0}},
        3: {"ae": {}, "vae": {"a": 1.0}},
        4: {"vae": {"a": 1.0}},
    }
    settings = {"name": "x", "says": "x", "favours": "vae", "against": "ae", "quantity": "x",
                "measure": "a", "threshold": 1}  # fmt: skip
    _, found = Claim.model_validate(settings | contrast).compare(pairs)
    assert found == pytest.approx(deltas)


def test_every_claim_compares_the_two_models_that_it_names() -> None:
    for item in CLAIMS.values():
        assert isinstance(item, Claim)
        assert {model for model, _ in item.needs} == {item.favours, item.against}


def test_the_docs_list_every_claim_and_its_formula() -> None:
    docs = (Path(__file__).parents[1] / "docs" / "studies.md").read_text(encoding="utf-8")
    for item in CLAIMS.values():
        assert f"| `{item.name}` | `{item.formula}` |" in docs
