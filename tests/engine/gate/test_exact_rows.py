from collections.abc import Callable

import numpy as np
import pytest

from foldserve_contract.golden import Golden
from foldserve_contract.signature import Array, Arrays, Signature, TensorSpec
from foldserve_engine.gate.exact_rows import candidates, find_exact_rows
from foldserve_engine.onnx.onnx_engine import OnnxEngine
from foldserve_engine.spec import EngineSpec
from tests.bundles import conv_model, golden_samples, signature_of

SIGNATURE = Signature((TensorSpec("x", "float32", (-1, 3)),), (TensorSpec("y", "float32", (-1, 3)),))
EPSILON = np.float32(1e-7)
SIZES = (2, 4, 8)


class Sums:
    """Answers its inputs, spoiled by a function of the rows' places and of the batch."""

    def __init__(self, spoil: Callable[[Array], Array], signature: Signature = SIGNATURE) -> None:
        self.signature = signature
        self._spoil = spoil

    def run(self, inputs: Arrays) -> dict[str, Array]:
        return {"y": (inputs["x"] + self._spoil(inputs["x"])).astype(np.float32)}

    def close(self) -> None:
        """Holds nothing."""


def golden(rows: int) -> Golden:
    x = np.random.default_rng(3).normal(size=(rows, 3)).astype(np.float32)
    return Golden({"x": x}, {"y": x})


def places(x: Array) -> Array:
    return np.arange(len(x), dtype=np.float32)[:, None] * EPSILON * 10


def computed_exact_rows(spoil: Callable[[Array], Array], rows: int = 5) -> int:
    return find_exact_rows(Sums(spoil), golden(rows), SIZES)


def nothing(x: Array) -> Array:
    return np.zeros_like(x)


@pytest.mark.parametrize("rows", [1, 3, 8, 20])
def test_the_largest_size_is_taken_where_nothing_depends_on_the_batch(rows: int) -> None:
    assert computed_exact_rows(nothing, rows) == 8


@pytest.mark.parametrize("rows", [1, 5, 20])
def test_a_row_whose_bits_depend_on_its_place_is_computed_alone(rows: int) -> None:
    assert computed_exact_rows(places, rows) == 1


def test_one_place_that_differs_is_enough() -> None:
    assert computed_exact_rows(lambda x: np.eye(len(x), 1, 1 - len(x), dtype=np.float32) * EPSILON * 10) == 1


@pytest.mark.parametrize("rows", [2, 5, 20])
def test_a_row_whose_bits_depend_on_its_neighbours_is_computed_alone(rows: int) -> None:
    assert computed_exact_rows(lambda x: np.full_like(x, x.sum() * 1e-3), rows) == 1


def test_a_smaller_size_is_taken_where_only_larger_ones_depend_on_the_place() -> None:
    assert computed_exact_rows(lambda x: places(x) if len(x) > 4 else nothing(x)) == 4


def test_another_size_may_have_other_bits() -> None:
    assert computed_exact_rows(lambda x: np.full_like(x, len(x))) == 8


def test_rows_of_a_dynamic_shape_are_computed_alone() -> None:
    free = Signature((TensorSpec("x", "float32", (-1, -1)),), SIGNATURE.outputs)
    assert find_exact_rows(Sums(nothing, free), golden(5), SIZES) == 1


def test_allowed_sizes_are_tried_where_there_are_any() -> None:
    assert candidates(32, ()) == (2, 4, 8)
    assert candidates(3, ()) == (2,)
    assert candidates(32, (1, 16, 32)) == (1, 16, 32)


def test_a_real_engine_keeps_its_bits_in_the_size_that_was_found() -> None:
    model = conv_model(seed=4)
    signature = signature_of(model)
    engine = OnnxEngine.from_bytes(model.SerializeToString(), signature, EngineSpec(threads=2, deterministic=True))
    samples = golden_samples(model, signature, 8)
    size = find_exact_rows(engine, samples, SIZES)
    draw = np.random.default_rng(5)
    row = samples.inputs["image"][:1]
    bits = set()
    for _ in range(50):
        batch = draw.normal(size=(size, *row.shape[1:])).astype(np.float32)
        place = draw.integers(size)
        batch[place] = row[0]
        bits.add(engine.run({"image": batch})["scores"][place].tobytes())
    assert len(bits) == 1
