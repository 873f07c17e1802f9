"""Keras 3 on its JAX backend: a functional model, its KL by add_loss, trained by fit."""

import os
from typing import Any, final

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from benchmarks.contestants import Images, Setting, Weights, named


class Sampling(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Draws z and adds the KL term."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, head: Any) -> Any:
        """A draw ``(B, d)``."""
        mean, log_variance = keras.ops.split(head, 2, axis=1)
        noise = keras.random.normal(keras.ops.shape(mean), seed=self.generator)
        kl = keras.ops.square(mean) + keras.ops.exp(log_variance) - log_variance - 1
        self.add_loss(0.5 * keras.ops.mean(keras.ops.sum(kl, axis=1)))
        return mean + keras.ops.exp(0.5 * log_variance) * noise


def _nll(x: Any, logits: Any) -> Any:
    return keras.ops.sum(keras.ops.softplus(logits) - x * logits, axis=1)


@final
class KerasFit:
    """``fit`` on float32 images, as its examples do."""

    def __init__(self, images: Images, setting: Setting) -> None:
        keras.utils.set_random_seed(setting.seed)
        self.layers = [
            keras.layers.Dense(setting.hidden, activation="relu"),
            keras.layers.Dense(2 * setting.latent_dim),
            keras.layers.Dense(setting.hidden, activation="relu"),
            keras.layers.Dense(784),
        ]
        x = keras.Input((784,))
        z = Sampling(setting.seed)(self.layers[1](self.layers[0](x)))
        self.model = keras.Model(x, self.layers[3](self.layers[2](z)))
        self.model.compile(keras.optimizers.Adam(setting.learning_rate), loss=_nll)
        self.images = images.astype(np.float32) / 255
        self.batch_size = setting.batch_size
        self.model.train_on_batch(self.images[: self.batch_size], self.images[: self.batch_size])

    def epoch(self) -> None:
        """Train for one epoch."""
        self.model.fit(self.images, self.images, batch_size=self.batch_size, verbose=0)

    def weights(self) -> Weights:
        """Transposed: here a layer is ``(in, out)``."""
        return named([(np.asarray(w).T, np.asarray(b)) for w, b in
                      (layer.get_weights() for layer in self.layers)])  # fmt: skip


start = KerasFit
