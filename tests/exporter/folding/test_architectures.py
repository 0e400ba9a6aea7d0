"""Every architecture of the matrix folds as it says, with no answer changed and a reason for all that stays."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from foldserve_exporter.folding import fold_graph
from foldserve_exporter.graph import Graph, TensorInfo, rebuild, trace
from tests.exporter.architectures import ARCHITECTURES
from tests.exporter.models import flat, misses

NOT_ON_A_CPU = {"channels_first", "channels_first_preactivated"}
"""TensorFlow cannot call these as they are; `graph/test_layout.py` holds their reading against NumPy."""


def rows_for(graph: Graph) -> Any:
    """Random inputs in the structure that the model takes."""
    rng = np.random.default_rng(1)
    return keras.tree.map_structure(lambda position: drawn(graph.inputs[position], rng), graph.input_structure)


def drawn(spec: TensorInfo, rng: np.random.Generator) -> np.ndarray:
    shape = (3, *(size or 8 for size in spec.shape[1:]))
    return rng.normal(size=shape).astype(np.float32) if spec.is_float else rng.integers(0, 4, shape).astype(spec.dtype)


def deviation(answers: list[np.ndarray], exact: list[np.ndarray]) -> float:
    """The largest difference, as a share of the largest answer of its output."""
    return max(float(np.abs(got - ref).max() / np.abs(ref).max()) for got, ref in zip(answers, exact, strict=True))


def every_second_one_slow() -> Iterator[Any]:
    """All of them take a minute and more: half of each theme is left to the slow run."""
    for position, name in enumerate(ARCHITECTURES):
        yield pytest.param(name, marks=[pytest.mark.slow] if position % 2 else [])


@pytest.mark.parametrize("name", list(every_second_one_slow()))
def test_an_architecture_folds_as_declared(name: str) -> None:
    keras.backend.clear_session()
    architecture = ARCHITECTURES[name]
    model = architecture.model()
    graph = trace(model)
    folded_graph, plan = fold_graph(graph)
    rows = rows_for(graph)
    exact = flat(rebuild(graph, "float64")(rows, training=False))
    plain = flat(rebuild(graph)(rows, training=False))
    assert name in NOT_ON_A_CPU or deviation(given(model, rows), exact) < architecture.exactness
    folded = rebuild(folded_graph)
    assert not misses(flat(folded(rows, training=True)), plain, exact)
    assert not any(isinstance(op, keras.layers.BatchNormalization) for op in folded.operations)
    assert Counter(entry.action.value for entry in plan) == architecture.actions
    reasons = [entry.reason for entry in plan if "affine" in entry.action]
    assert bool(reasons) == bool(architecture.reasons)
    for words in architecture.reasons:
        assert any(words in reason for reason in reasons), reasons


def given(model: Any, rows: Any) -> list[np.ndarray]:
    return [answer.astype(np.float64) for answer in flat(model(rows, training=False))]


def test_there_are_many_architectures_and_each_holds_what_it_is_there_for() -> None:
    assert len(ARCHITECTURES) >= 100
    actions: Counter[str] = sum((Counter(architecture.actions) for architecture in ARCHITECTURES.values()), Counter())
    assert set(actions) >= {"backward", "forward", "merged_into_affine", "left_affine"}
