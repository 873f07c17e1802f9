"""JAX and optax, the whole epoch as one jitted scan with donated state: nothing left to save.

In bfloat16 the factors of every product are cast and the products summed in float32, so that
parameters, optimizer and loss stay float32.
"""

from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.contestants import Images, Setting, Weights, named


def _layer(key: Any, inputs: int, outputs: int) -> dict[str, Any]:
    bound = inputs**-0.5
    a, b = jax.random.split(key)
    return {
        "w": jax.random.uniform(a, (inputs, outputs), minval=-bound, maxval=bound),
        "b": jax.random.uniform(b, (outputs,), minval=-bound, maxval=bound),
    }


def _loss(parameters: Any, x: Any, key: Any, factors: Any) -> Any:
    def dense(layer: Any, inputs: Any) -> Any:
        both = inputs.astype(factors), layer["w"].astype(factors)
        return jnp.dot(*both, preferred_element_type=jnp.float32) + layer["b"]

    first, head, third, last = parameters
    h = jax.nn.relu(dense(first, x))
    mean, log_variance = jnp.split(dense(head, h), 2, axis=1)
    z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape)
    logits = dense(last, jax.nn.relu(dense(third, z)))
    nll = jnp.sum(jax.nn.softplus(logits) - x * logits)
    kl = 0.5 * jnp.sum(mean**2 + jnp.exp(log_variance) - log_variance - 1)
    return (nll + kl) / len(x)


@final
class JaxScan:
    """Whole batches only: a scan has steps of one shape."""

    def __init__(self, images: Images, setting: Setting, factors: Any = jnp.float32) -> None:
        keys = jax.random.split(jax.random.key(setting.seed), 5)
        hidden, d = setting.hidden, setting.latent_dim
        sizes = [(784, hidden), (hidden, 2 * d), (d, hidden), (hidden, 784)]
        self.parameters: Any = [_layer(key, *size) for key, size in zip(keys, sizes, strict=False)]
        optimizer = optax.adam(setting.learning_rate)
        self.state = optimizer.init(self.parameters)
        self.key = keys[4]
        self.images = jnp.asarray(images)
        steps, batch = len(images) // setting.batch_size, setting.batch_size

        @partial(jax.jit, donate_argnums=(0, 1))
        def epoch(parameters: Any, state: Any, key: Any, images: Any) -> Any:
            shuffle, noise = jax.random.split(key)
            order = jax.random.permutation(shuffle, len(images))[: steps * batch]

            def step(carry: Any, now: Any) -> Any:
                parameters, state = carry
                index, key = now
                x = images[index].astype(jnp.float32) / 255
                loss, gradient = jax.value_and_grad(_loss)(parameters, x, key, factors)
                change, state = optimizer.update(gradient, state)
                return (optax.apply_updates(parameters, change), state), loss

            batches = order.reshape(steps, batch), jax.random.split(noise, steps)
            return jax.lax.scan(step, (parameters, state), batches)

        self.run = epoch.lower(self.parameters, self.state, self.key, self.images).compile()

    def epoch(self) -> None:
        """Train for one epoch."""
        self.key, now = jax.random.split(self.key)
        (self.parameters, self.state), losses = self.run(
            self.parameters, self.state, now, self.images
        )
        losses.block_until_ready()

    def weights(self) -> Weights:
        """Transposed: here a layer is ``(in, out)``."""
        return named([(np.asarray(p["w"]).T, np.asarray(p["b"])) for p in self.parameters])


start = JaxScan
bfloat16 = partial(JaxScan, factors=jnp.bfloat16)
