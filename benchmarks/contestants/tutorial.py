"""The usual tutorial loop, in the style of the VAE among PyTorch's official examples.

One image at a time becomes a PIL image, then a tensor; an unfused Adam; the loss is read at every
step.
"""

from typing import final

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from benchmarks.contestants import Images, Setting, Weights, named


class PilImages(Dataset[Tensor]):
    """Images that are converted when they are asked for."""

    def __init__(self, images: Images) -> None:
        self.images = images.reshape(-1, 28, 28)

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        """One image ``(1, 28, 28)`` in [0, 1]."""
        image = Image.fromarray(self.images[index])
        return torch.from_numpy(np.array(image, copy=True)).unsqueeze(0).float().div(255)


class Model(nn.Module):
    """The VAE 784-400-d."""

    def __init__(self, hidden: int, latent: int) -> None:
        super().__init__()
        self.fc1, self.mean, self.log_variance = (
            nn.Linear(784, hidden), nn.Linear(hidden, latent), nn.Linear(hidden, latent),
        )  # fmt: skip
        self.fc3, self.fc4 = nn.Linear(latent, hidden), nn.Linear(hidden, 784)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pixel probabilities, means and log-variances."""
        h = functional.relu(self.fc1(x.view(-1, 784)))
        mean, log_variance = self.mean(h), self.log_variance(h)
        std = torch.exp(0.5 * log_variance)
        z = mean + torch.randn_like(std) * std
        return torch.sigmoid(self.fc4(functional.relu(self.fc3(z)))), mean, log_variance


@final
class Tutorial:
    """Train and count the loss, batch by batch."""

    def __init__(self, images: Images, setting: Setting) -> None:
        torch.manual_seed(setting.seed)
        self.loader = DataLoader(PilImages(images), batch_size=setting.batch_size, shuffle=True)
        self.model = Model(setting.hidden, setting.latent_dim)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=setting.learning_rate)
        self.total = 0.0

    def epoch(self) -> None:
        """Train for one epoch."""
        self.model.train()
        for batch in self.loader:
            self.optimizer.zero_grad()
            shown, mean, log_variance = self.model(batch)
            bce = functional.binary_cross_entropy(shown, batch.view(-1, 784), reduction="sum")
            kl = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
            # Per image, so that Adam's ε weighs the same for every contestant.
            loss = (bce + kl) / len(batch)
            loss.backward()
            self.total += loss.item()
            self.optimizer.step()

    def weights(self) -> Weights:
        """The two heads become one layer."""
        m = self.model
        heads = [torch.cat([getattr(m.mean, k), getattr(m.log_variance, k)]).detach().numpy()
                 for k in ("weight", "bias")]  # fmt: skip
        plain = [(layer.weight.detach().numpy(), layer.bias.detach().numpy())
                 for layer in (m.fc1, m.fc3, m.fc4)]  # fmt: skip
        return named([plain[0], (heads[0], heads[1]), plain[1], plain[2]])


start = Tutorial
