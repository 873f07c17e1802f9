"""Metrics beside other libraries' own: importance sampling, and the Fréchet distance.

Everything runs in one process with one thread, on the same weights and features, in turn.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from aelab.data.binarize import freeze, to_unit
from aelab.experiment.presets import preset
from aelab.metrics.classifier import obtain
from aelab.metrics.importance import bound, log_weights
from aelab.metrics.neighbours import frechet
from aelab.models.vae import VAE
from aelab.randomness import stream
from aelab.runs.pool import Job, Send, run_jobs
from aelab.training.loop import fit
from benchmarks.contestants import Setting
from benchmarks.images import data
from benchmarks.table import markdown

SAMPLES = 500
ROUNDS = 3
BLOCK = 250


@torch.inference_mode()
def nll(model: VAE, x_ND: Tensor) -> float:
    """aelab's −L_K in nats, K = 500."""

    def of_block(x_BD: Tensor) -> Tensor:
        weights_BK = log_weights(
            lambda z_BZ: -model.reconstruction(model.decode(z_BZ), x_BD),
            model.posterior(x_BD), model.prior(), SAMPLES, stream(0, "benchmark"),
        )  # fmt: skip
        return -bound(weights_BK, SAMPLES)

    return float(torch.cat([of_block(x_BD) for x_BD in x_ND.split(BLOCK)]).mean())


def pythae_nll(model: VAE) -> Callable[[Tensor], float]:
    """pythae's ``get_nll`` of the same weights; it samples one image at a time."""
    from pythae import models

    from benchmarks.contestants.pythae_trainer import Decoder, Encoder

    d, hidden = model.architecture.latent_dim, model.architecture.network.hidden[0]
    twin = models.VAE(
        models.VAEConfig(input_dim=(1, 28, 28), latent_dim=d, reconstruction_loss="bce"),
        encoder=Encoder(hidden, d), decoder=Decoder(hidden, d),
    ).eval()  # fmt: skip
    ours = dict(model.state_dict())
    for kind in ("weight", "bias"):
        heads = ours[f"encoder.2.{kind}"].split(d)
        for layer, value in (
            (twin.encoder.hidden, ours[f"encoder.0.{kind}"]),
            (twin.encoder.mean, heads[0]),
            (twin.encoder.log_variance, heads[1]),
            (twin.decoder.hidden, ours[f"decoder.0.{kind}"]),
            (twin.decoder.pixels, ours[f"decoder.2.{kind}"]),
        ):
            getattr(layer, kind).data.copy_(value)

    @torch.inference_mode()
    def compute(x_ND: Tensor) -> float:
        return -float(twin.get_nll(x_ND.view(-1, 1, 28, 28), n_samples=SAMPLES, batch_size=SAMPLES))

    return compute


class Features(nn.Module):
    """Passes features on, as torchmetrics wants a network."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features_NF: Tensor) -> Tensor:
        """The features."""
        return features_NF


def torchmetrics_frechet(real_NF: Tensor, generated_MF: Tensor) -> float:
    """The Fréchet distance of two sets of features by torchmetrics."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    distance = FrechetInceptionDistance(feature=Features(real_NF.shape[1])).set_dtype(torch.float64)
    for features, real in ((real_NF, True), (generated_MF, False)):
        distance.update(features, real=real)
    return float(distance.compute())


def race(folder: str, images: int) -> list[dict[str, Any]]:
    """Seconds and value of each metric by each library, medians of three rounds."""
    found = data(folder)
    setting = Setting()
    experiment = preset("recipe", latent_dim=(setting.latent_dim,), vae={"epochs": 1})
    model = experiment.build(f"vae-{setting.latent_dim}")
    assert isinstance(model, VAE)
    for _ in fit(model, found, experiment.training("vae"), seed=0):
        pass
    model.eval()
    frozen = freeze(found.test.images[:images], 0, "test")
    x_ND = to_unit(torch.from_numpy(frozen))
    classifier = obtain(found, lambda _: None)
    both = [to_unit(torch.from_numpy(part.images[:10_000])) for part in (found.test, found.train)]
    features = [
        torch.cat([classifier(part)[0] for part in whole.split(BLOCK)]).double() for whole in both
    ]
    contests: dict[str, dict[str, Callable[[], float]]] = {
        f"NLL, K = {SAMPLES}, {images:,} images, nats": {
            "aelab": lambda: nll(model, x_ND),
            "pythae's get_nll": lambda: compute(x_ND),
        },
        f"Fréchet distance, 10,000 × {features[0].shape[1]} features": {
            "aelab": lambda: frechet(*features),
            "torchmetrics": lambda: torchmetrics_frechet(*features),
        },
    }
    compute = pythae_nll(model)
    records = []
    for metric, sides in contests.items():
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        values: dict[str, float] = {}
        for _ in range(ROUNDS):
            for name, run in sides.items():
                began = time.perf_counter()
                values[name] = run()
                seconds[name].append(time.perf_counter() - began)
        records += [
            {"metric": metric, "by": name, "value": values[name], "seconds": median(seconds[name])}
            for name in sides
        ]
    return records


def table(records: list[dict[str, Any]]) -> str:
    """A row for each metric and library; the ratio is to aelab's seconds."""
    ours = {r["metric"]: r["seconds"] for r in records if r["by"] == "aelab"}
    rows = [
        [r["metric"], r["by"], f"{r['value']:.3f}", f"{r['seconds']:.2f}",
         f"{r['seconds'] / ours[r['metric']]:.1f}"]
        for r in records
    ]  # fmt: skip
    return markdown(["metric", "by", "value", "seconds", "ratio"], rows)


def in_a_process(folder: str, images: int) -> list[dict[str, Any]]:
    """:func:`race` in a process of its own, with one thread."""
    jobs = [Job("evaluation", _send_race, (folder, images))]
    [records] = [event.content for event in run_jobs(jobs, 1) if event.kind == "message"]
    return list(records)


def _send_race(send: Send, folder: str, images: int) -> None:
    send(race(folder, images))
