"""aelab's own loop, with what it does after an epoch, but only a batch of validation images."""

from collections.abc import Iterator
from functools import partial
from typing import final

import numpy as np
import torch

from aelab.data.dataset import Data, Split
from aelab.experiment.presets import preset
from aelab.nets.precision import Resolved, find_precision
from aelab.training.loop import fit
from aelab.training.records import Epoch
from benchmarks.contestants import Images, Setting, Weights


@final
class AelabFit:
    """The generator ``fit``, asked for one epoch after another."""

    def __init__(self, images: Images, setting: Setting, precision: Resolved = "float32") -> None:
        if precision == "bfloat16":
            find_precision(precision, torch.device("cpu"))  # raises where there is none
        few = Split(images[:64], np.zeros(64, dtype=np.int64))
        data = Data(
            train=Split(images, np.zeros(len(images), dtype=np.int64)),
            validation=few, test=few, name="", source="", why="", image_size=(28, 28), classes=1,
            label_names=("0",), sha256={}, split="",
        )  # fmt: skip
        vae = {"learning_rate": setting.learning_rate, "batch_size": setting.batch_size,
               "epochs": 10_000}  # fmt: skip
        experiment = preset("recipe", latent_dim=(setting.latent_dim,), seed=setting.seed,
                            network={"hidden": (setting.hidden,)}, vae=vae)  # fmt: skip
        self.model = experiment.build(f"vae-{setting.latent_dim}")
        training = experiment.training("vae")
        self.epochs: Iterator[Epoch] = fit(
            self.model, data, training, seed=setting.seed, precision=precision
        )

    def epoch(self) -> None:
        """Train for one epoch."""
        next(self.epochs)

    def weights(self) -> Weights:
        """The model's own weights."""
        return {name: value.numpy() for name, value in self.model.state_dict().items()}


start = AelabFit
bfloat16 = partial(AelabFit, precision="bfloat16")
