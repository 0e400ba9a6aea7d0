"""One architecture of the matrix: a model with random weights, and the expected result of its fold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

BACK, FORWARD, IDENTITY, MERGED, AFFINE = "backward", "forward", "identity", "merged_into_affine", "left_affine"
SHIFT, BACK_SHIFT = "forward_scale_left_affine_shift", "backward_scale_left_affine_shift"
SCALE, BACK_SCALE = "forward_shift_left_affine_scale", "backward_shift_left_affine_scale"


@dataclass(frozen=True, slots=True)
class Architecture:
    """The expectations of one model.

    Attributes:
        build: makes the model; its name is the architecture's.
        actions: how many BatchNormalization calls go where.
        forced: what arithmetic with constants its ONNX file keeps for another cause than an affine, in words.
        reasons: words that the reasons of the affines that stay must hold.
        positive: whether no gain is negative, which a maximum or ReLU asks for.
        exactness: how far the untouched model may be from the float64 reference, as a share of its answers.
    """

    build: Callable[[], Any]
    actions: Mapping[str, int]
    forced: str = ""
    reasons: tuple[str, ...] = ()
    positive: bool = False
    exactness: float = 1e-4

    @property
    def name(self) -> str:
        """The architecture's name, as the table has it."""
        return self.build.__name__

    def model(self, seed: int = 0) -> Any:
        """The model with random weights and statistics."""
        return randomised(self.build(), seed, self.positive)


def randomised(model: Any, seed: int, positive: bool = False) -> Any:
    """Weights drawn so that no layer drowns the next: kernels by their fan-in, gains of both signs, biases not zero."""
    rng = np.random.default_rng(seed)
    for variable in keras.tree.flatten(model.weights):
        if "float" in variable.dtype:
            variable.assign(_drawn(variable.name, tuple(variable.shape), rng, positive))
    return model


def _drawn(name: str, shape: tuple[int, ...], rng: np.random.Generator, positive: bool) -> Any:
    if "variance" in name or "stddev" in name:
        return rng.uniform(0.3, 1.5, shape)
    if name == "gamma":
        return rng.uniform(0.5, 1.5, shape) * (1 if positive else rng.choice([-1, 1, 1], shape))
    if "kernel" in name or "embeddings" in name:
        return rng.normal(0, 1 / np.sqrt(max(1, int(np.prod(shape[:-1])))), shape)
    return rng.normal(0, 0.5, shape)
