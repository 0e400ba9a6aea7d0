"""Drawer of odd but loadable models: random graphs of unusual dtypes, sizes, names and structures."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import keras
import numpy as np

from ..models import randomise
from .names import INPUT_NAMES, KEYS
from .operations import JOINS, OPERATIONS

T = TypeVar("T")
FLOATS = ("float32", "float32", "float32", "float32", "float16", "bfloat16", "float64")
OTHERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
SIZES = (1, 1, 2, 3, 4, 5, 7, 8)
RARE_SIZES = (0, None, None, 1, 17)


class Drawer:
    """Generator of one random model; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.layers: list[Any] = []

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self.rng.integers(len(items)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def model(self, steps: int = 8) -> Any:
        """A model with random weights."""
        inputs = [self.input(index) for index in range(self.pick((1, 1, 1, 2, 3)))]
        self.tensors = list(inputs)
        for _ in range(int(self.rng.integers(steps + 1))):
            self.step()
        outputs = self.outputs()
        feeds = self.structure(inputs, [tensor.name for tensor in inputs]) if self.chance(0.2) else inputs
        return randomise(keras.Model(feeds, outputs), seed=int(self.rng.integers(1 << 30)))

    def input(self, index: int) -> Any:
        dtype = self.pick(FLOATS) if self.chance(0.7) else self.pick(OTHERS)
        rank = self.pick((0, 1, 1, 1, 2, 2, 3, 3, 4))
        shape = tuple(self.pick(RARE_SIZES) if self.chance(0.08) else self.pick(SIZES) for _ in range(rank))
        name = f"{self.pick(INPUT_NAMES)}{index or ''}" if self.chance(0.4) else None
        return keras.Input(shape, dtype=dtype, name=name)

    def step(self) -> None:
        """Adds the results of one operation; what Keras itself refuses adds nothing."""
        try:
            made = self.made()
        except Exception:
            return
        results = [result for result in keras.tree.flatten(made) if isinstance(result, keras.KerasTensor)]
        self.tensors.extend(result for result in results if len(result.shape))

    def made(self) -> Any:
        tensor = self.source()
        if self.layers and self.chance(0.1):
            return self.pick(self.layers)(tensor)
        if self.chance(0.25):
            other = self.pick([t for t in self.tensors if t.dtype == tensor.dtype])
            return self.pick(JOINS)(tensor, other)
        if self.chance(0.08):
            return self.nested(tensor)
        made: Callable[[Any], Any] = self.pick(OPERATIONS)(self, tensor)
        result = made(tensor)
        if isinstance(made, keras.layers.Layer):
            self.layers.append(made)
        return result

    def source(self) -> Any:
        return self.pick(self.tensors[-3:]) if self.chance(0.8) else self.pick(self.tensors)

    def nested(self, tensor: Any) -> Any:
        inner = keras.Input(tensor.shape[1:], dtype=tensor.dtype)
        model = keras.Model(inner, keras.layers.BatchNormalization()(keras.layers.Dense(3)(inner)), name=self.name())
        self.layers.append(model)
        return model(tensor)

    def name(self) -> str | None:
        return f"{self.pick(INPUT_NAMES)}_{int(self.rng.integers(1000))}" if self.chance(0.3) else None

    def outputs(self) -> Any:
        last = self.tensors[-4:]
        chosen = [self.pick(last) for _ in range(self.pick((1, 1, 1, 2, 2, 3, 4)))]
        if self.chance(0.1):
            chosen.append(self.tensors[0])  # an input
        if self.chance(0.1):
            chosen.append(chosen[0])
        if self.chance(0.3):
            return self.structure(chosen, [self.pick(KEYS) for _ in chosen])
        return chosen[0] if len(chosen) == 1 else chosen

    def structure(self, tensors: list[Any], keys: list[str]) -> Any:
        """The tensors in a dict, a tuple, or one in the other."""
        named = dict(zip(keys, tensors, strict=True)) if len(set(keys)) == len(keys) else {"all": list(tensors)}
        return self.pick((named, tuple(tensors), [named], {"nested": named}, [tuple(tensors)]))
