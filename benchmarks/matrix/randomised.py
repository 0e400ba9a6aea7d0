"""keras.applications with statistics and biases as after some training: with zero biases half the faults hide."""

from typing import Any


def application(name: str, shape: tuple[int, int, int], **words: Any) -> Any:
    """One of them, by its name, its input's shape without the batch, and what else it is told."""
    import keras

    return randomise(getattr(keras.applications, name)(input_shape=shape, weights=None, **words))


def randomise(model: Any) -> Any:
    """The model, with other statistics, gammas, betas and biases: the same ones each time."""
    import numpy as np

    generator = np.random.default_rng(0)
    for variable in model.weights:
        noise = generator.normal(0, 0.2, variable.shape)
        if "variance" in variable.name or variable.name == "gamma":
            variable.assign(np.abs(1 + noise))
        elif variable.name in ("beta", "bias", "moving_mean"):
            variable.assign(noise)
    return model
