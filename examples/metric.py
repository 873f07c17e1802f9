"""A metric of your own, of an AE and a VAE: python examples/metric.py

In a file of src/aelab/metrics/ or in a plugin, every table and report has it. One value for each
test image gives its mean, its interval and the paired difference of two models.
"""

import aelab
from aelab.metrics import BaseContext, Context, metric
from aelab.metrics.base import Array, estimate_means


@metric("mae", title="MAE per pixel", family="reconstruction", better="lower", needs="pixels")
def mae(context: BaseContext) -> Array:
    """Mean absolute error of the reconstruction, in grey levels from 0 to 1."""
    errors: Array = (context.reconstructions - context.x).abs().mean(-1).double().numpy()
    return errors


if __name__ == "__main__":
    data = aelab.load_data("bundled")
    experiment = aelab.preset("quick", ae={"epochs": 5}, vae={"epochs": 5})
    for name in ("ae", "vae"):
        model = experiment.build(f"{name}-16")
        for _ in aelab.fit(model, data, experiment.training(name), seed=0):
            pass
        values = mae(Context.of(experiment, model, data))
        [found] = estimate_means(values[:, None], seed=0)
        print(f"{model.title}: {found.value:.4f}, 95% interval {found.low:.4f} to {found.high:.4f}")
