"""Low-rank adapters are part of the weights they adapt before anything is folded."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from ..models import actions, assert_folds, randomise

L = keras.layers
IMAGE, SEQUENCE = (7, 6, 3), (6, 5)
HOSTS: dict[str, tuple[tuple[int, ...], Callable[[], Any]]] = {
    "Conv2D": (IMAGE, lambda: L.Conv2D(4, (3, 2), padding="same")),
    "Conv1D": (SEQUENCE, lambda: L.Conv1D(4, 3)),
    "Dense": (SEQUENCE, lambda: L.Dense(4)),
    "EinsumDense": (SEQUENCE, lambda: L.EinsumDense("abc,cd->abd", output_shape=(6, 4), bias_axes="d")),
}


@pytest.mark.parametrize("host", HOSTS, ids=str)
@pytest.mark.parametrize("rank", [1, 3])
def test_a_host_with_an_adapter_absorbs_what_follows_and_what_precedes(host: str, rank: int) -> None:
    shape, make = HOSTS[host]
    for order in ("before", "behind"):
        layer = make()
        parts = [layer, L.BatchNormalization(), L.ReLU()] if order == "before" else [L.BatchNormalization(), layer]
        model = keras.Sequential([keras.Input(shape), *parts, L.Flatten(), L.Dense(3)])
        layer.enable_lora(rank, lora_alpha=5)
        folded = assert_folds(randomise(model, 6))
        assert not any("lora" in weight.path for weight in folded.model.weights)
        if order == "before":
            assert actions(folded) == ["backward"]


def test_an_embedding_with_an_adapter_is_one_table() -> None:
    embedding = L.Embedding(9, 4)
    model = keras.Sequential([keras.Input((5,), dtype="int32"), embedding, L.BatchNormalization(), L.Dense(3)])
    embedding.enable_lora(2)
    folded = assert_folds(randomise(model, 7), np.random.default_rng(0).integers(0, 9, (6, 5)))
    assert next(tuple(weight.shape) for weight in folded.model.weights) == (9, 4)
