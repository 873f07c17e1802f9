"""pythae's BaseTrainer with its VAE, on networks of the same sizes."""

import logging
import tempfile
from typing import Any, final

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn

from benchmarks.contestants import Images, Setting, Weights, named


class Encoder(BaseEncoder):  # type: ignore[misc]  # pythae has no types
    """784-400, then two heads."""

    def __init__(self, hidden: int, latent: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(784, hidden)
        self.mean, self.log_variance = nn.Linear(hidden, latent), nn.Linear(hidden, latent)

    def forward(self, x: Tensor) -> Any:
        """What pythae expects of an encoder."""
        h = torch.relu(self.hidden(x.reshape(-1, 784)))
        return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))


class Decoder(BaseDecoder):  # type: ignore[misc]
    """d-400-784; pythae wants probabilities."""

    def __init__(self, hidden: int, latent: int) -> None:
        super().__init__()
        self.hidden, self.pixels = nn.Linear(latent, hidden), nn.Linear(hidden, 784)

    def forward(self, z: Tensor) -> Any:
        """What pythae expects of a decoder."""
        shown = torch.sigmoid(self.pixels(torch.relu(self.hidden(z))))
        return ModelOutput(reconstruction=shown.reshape(-1, 1, 28, 28))


@final
class PythaeTrainer:
    """Its loop over an epoch, ``train_step``."""

    def __init__(self, images: Images, setting: Setting) -> None:
        logging.getLogger("pythae").setLevel(logging.ERROR)
        torch.manual_seed(setting.seed)
        self.folder = tempfile.TemporaryDirectory()
        grey = torch.from_numpy(images.reshape(-1, 1, 28, 28).astype(np.float32) / 255)
        config = VAEConfig(
            input_dim=(1, 28, 28), latent_dim=setting.latent_dim, reconstruction_loss="bce"
        )
        size = setting.hidden, setting.latent_dim
        self.model = VAE(config, encoder=Encoder(*size), decoder=Decoder(*size))
        training = BaseTrainerConfig(
            output_dir=self.folder.name, num_epochs=1_000, learning_rate=setting.learning_rate,
            per_device_train_batch_size=setting.batch_size, no_cuda=True, seed=setting.seed,
        )  # fmt: skip
        data = BaseDataset(grey, torch.zeros(len(grey)))
        self.trainer = BaseTrainer(self.model, data, training_config=training)
        self.trainer.prepare_training()
        self.done = 0

    def epoch(self) -> None:
        """Train for one epoch."""
        self.done += 1
        self.trainer.callback_handler.callbacks.clear()  # its progress bars
        self.trainer.train_step(self.done)

    def weights(self) -> Weights:
        """The two heads become one layer."""
        e, d = self.model.encoder, self.model.decoder
        heads = [torch.cat([getattr(e.mean, k), getattr(e.log_variance, k)]).detach().numpy()
                 for k in ("weight", "bias")]  # fmt: skip
        plain = [(layer.weight.detach().numpy(), layer.bias.detach().numpy())
                 for layer in (e.hidden, d.hidden, d.pixels)]  # fmt: skip
        return named([plain[0], (heads[0], heads[1]), plain[1], plain[2]])


start = PythaeTrainer
