"""PCA and raw pixels, and the data protocols under which models and baselines are measured."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from aelab.claims.claim import frozen_hash
from aelab.data.dataset import Data
from aelab.errors import AelabError
from aelab.lab.data import describe
from aelab.lab.run import run_lab
from aelab.losses import Batch
from aelab.metrics import METRICS, Context, evaluate_baseline
from aelab.metrics.baselines import PcaBaseline
from aelab.models import MODELS
from aelab.runs.study import Study
from aelab.studies.study import run_study
from tests.conftest import tiny_split
from tests.measured import make, per_image
from tests.torture import Ground

# --- baselines ------------------------------------------------------------------------------


def test_pca_is_the_exact_one(tiny_data: Data) -> None:
    from sklearn.decomposition import PCA

    x = tiny_data.train.images / 255
    theirs = PCA(4, svd_solver="full").fit(x)
    ours = PcaBaseline(data=tiny_data, seed=0, latent_dim=4)
    np.testing.assert_allclose(np.abs(ours.codes("train")), np.abs(theirs.transform(x)), atol=1e-5)
    back = ours.reconstruct(Batch(torch.from_numpy(x))).numpy()
    np.testing.assert_allclose(back, theirs.inverse_transform(theirs.transform(x)), atol=1e-5)


def test_baselines_have_what_they_can_have(tiny_data: Data) -> None:
    def defined(name: str, latent_dim: int | None) -> set[str]:
        evaluation = evaluate_baseline(name, latent_dim, tiny_data, seed=0)
        assert evaluation.metrics.keys() == METRICS.keys()
        return {name for name, estimate in evaluation.metrics.items() if estimate is not None}

    of_codes = {name for name, measure in METRICS.items() if measure.family == "representation"}
    of_pixels = {"mse", "psnr", "ssim"} | {n for n in METRICS if METRICS[n].panel == "robustness"}
    assert len(of_codes) == 8
    assert defined("pixels", None) == of_codes
    assert defined("pca", 3) == of_codes | of_pixels


def test_pca_cannot_have_more_components_than_images_or_pixels(tiny_data: Data) -> None:
    with pytest.raises(AelabError, match="785 components"):
        evaluate_baseline("pca", 785, tiny_data, seed=0)
    few = replace(tiny_data, train=tiny_split(50, 1))
    with pytest.raises(AelabError, match=r"of 50 training images .* --latent-dim of at most 50"):
        evaluate_baseline("pca", 51, few, seed=0)


@pytest.mark.parametrize(
    ("d", "vary"), [(300, {}), (3, {"latent_dim": [300]}), (150, {"train_size": [100]})]
)
def test_a_pca_that_cannot_be_is_refused_before_training(
    d: int, vary: dict[str, list[int]], ground: Ground, tmp_path: Path
) -> None:
    experiment = ground.experiment.model_copy(update={"latent_dim": (d,)})
    begin = partial(run_study, seeds=1, vary=vary) if vary else run_lab
    with pytest.raises(AelabError, match=r"PCA of \d+ training images of 144 pixels has no"):
        begin(experiment, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_study_that_has_been_made_is_not_extended_by_an_impossible_run(
    ground: Ground, tmp_path: Path
) -> None:
    study = Study.create(
        tmp_path / "study", ground.experiment.model_dump(mode="json"), [],
        claims_hash=frozen_hash([]), data=describe(ground.source.load(validation=60)),
        source=asdict(ground.source),
    )  # fmt: skip
    before = (study.path / "manifest.json").read_bytes()
    with pytest.raises(AelabError, match="has no 300 components"):
        run_study(ground.experiment, study.path, seeds=1, vary={"latent_dim": [300]})
    assert (study.path / "manifest.json").read_bytes() == before


# --- the protocol ---------------------------------------------------------------------------


def test_binarised_images_are_the_same_at_every_evaluation(tiny_data: Data) -> None:
    dynamic, static = (make("vae", tiny_data, protocol=p).x for p in ("dynamic", "static"))
    assert set(dynamic.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(dynamic, static)
    assert not torch.equal(dynamic, make("vae", tiny_data).x)
    one, two = (make("vae", tiny_data, protocol="dynamic") for _ in range(2))
    for name in ("negative_elbo", "mse", "probe_accuracy"):
        np.testing.assert_array_equal(per_image(name, one), per_image(name, two))


def test_baselines_see_what_the_models_see(tiny_data: Data) -> None:
    grey, drawn = (evaluate_baseline("pca", 3, tiny_data, 0, p) for p in ("grey", "static"))
    assert grey.metrics["mse"] != drawn.metrics["mse"]


def test_continuous_bernoulli_is_measured_by_its_own_term(tiny_data: Data) -> None:
    context = make("vae", tiny_data)
    architecture = context.model.architecture.model_copy(
        update={"likelihood": "continuous-bernoulli"}
    )
    model = MODELS["vae"](architecture, MODELS["vae"].Config(), seed=0)
    continuous = Context(model=model, data=tiny_data, seed=0)
    for name in ("reconstruction_nll", "elbo_reconstruction", "mse"):
        ours, theirs = (per_image(name, c).mean() for c in (continuous, context))
        assert np.isfinite(ours)
        assert ours != theirs
