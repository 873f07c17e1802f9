"""Images of your own as arrays: python examples/arrays.py

Here the 1,797 digits of 8 × 8 pixels that come with scikit-learn.
"""

import numpy as np
from sklearn.datasets import load_digits

import aelab
from aelab.metrics import Context
from aelab.metrics.reconstruction import mse

digits = load_digits()
images = np.rint(digits.data / 16 * 255).astype(np.uint8)  # (N, height · width), 0 to 255
order = np.random.default_rng(0).permutation(len(images))


def part(first: int, last: int) -> aelab.Split:
    """Images and labels of a range of the shuffled digits."""
    chosen = order[first:last]
    return aelab.Split(images[chosen], digits.target[chosen])


data = aelab.Data(
    train=part(0, 1400), validation=part(1400, 1600), test=part(1600, 1797),
    name="digits of scikit-learn", source="arrays", why="given as arrays",
    image_size=(8, 8), classes=10, label_names=tuple("0123456789"), sha256={},
    split="1,400 training, 200 validation and 197 test images, at random",
)  # fmt: skip

if __name__ == "__main__":
    experiment = aelab.preset(
        "quick", network={"hidden": (64,)}, latent_dim=(8,), ae={"epochs": 10}, vae={"epochs": 10}
    )
    for name in ("ae", "vae"):
        model = experiment.build(f"{name}-8", data.image_size)
        for _ in aelab.fit(model, data, experiment.training(name), seed=0):
            pass
        values = mse(Context.of(experiment, model, data))
        print(f"{model.title}: MSE per pixel {values.mean():.4f} on test images")
