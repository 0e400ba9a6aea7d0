import numpy as np

from foldserve_contract.signature import Array, Arrays
from foldserve_engine.rows import Gather, PaddedEngine
from tests.bundles import dense_model, signature_of


def rows(*values: int) -> dict[str, Array]:
    return {"x": np.array(values, np.float32).reshape(-1, 1)}


def test_one_callers_rows_are_not_copied() -> None:
    inputs = rows(1, 2, 3)
    collected = Gather().collect([(inputs, 1, 3)], 2)
    assert np.shares_memory(collected["x"], inputs["x"])
    assert collected["x"].ravel().tolist() == [2, 3]


def test_rows_that_must_always_begin_at_the_same_place_in_memory_are_copied_there() -> None:
    gather = Gather()
    inputs = rows(1, 2, 3)
    for start in range(3):
        collected = gather.collect([(inputs, start, start + 1)], 1, own=True)["x"]
        assert not np.shares_memory(collected, inputs["x"])
        assert collected.ctypes.data % 64 == 0
        assert collected.ravel().tolist() == [start + 1]


def test_rows_of_several_callers_stand_in_order() -> None:
    collected = Gather().collect([(rows(1, 2), 0, 2), (rows(3, 4, 5), 1, 3)], 4)
    assert collected["x"].ravel().tolist() == [1, 2, 4, 5]


def test_padding_repeats_the_last_row() -> None:
    assert Gather().collect([(rows(1, 2), 0, 2)], 4)["x"].ravel().tolist() == [1, 2, 2, 2]


def test_memory_is_used_again_for_smaller_and_larger_batches() -> None:
    gather = Gather()
    for size in (2, 5, 3):
        assert gather.collect([(rows(7), 0, 1), (rows(8), 0, 1)], size)["x"].ravel().tolist() == [7] + [8] * (size - 1)


class Counting:
    """Answers its inputs, and counts the rows it was given."""

    def __init__(self) -> None:
        self.signature = signature_of(dense_model())
        self.batches: list[int] = []

    def run(self, inputs: Arrays) -> dict[str, Array]:
        self.batches.append(len(inputs["x"]))
        return {"x": inputs["x"].copy(), "total": np.zeros(7, np.float32)}

    def close(self) -> None:
        """Holds nothing."""


def test_a_bucketed_engine_computes_allowed_sizes_and_answers_what_was_asked() -> None:
    engine = Counting()
    bucketed = PaddedEngine(engine, (1, 4))
    assert [len(bucketed.run(rows(*range(count)))["x"]) for count in (1, 3, 4)] == [1, 3, 4]
    assert engine.batches == [1, 4, 4]


def test_a_bucketed_engine_leaves_an_output_without_rows_as_it_is() -> None:
    assert PaddedEngine(Counting(), (4,)).run(rows(1, 2))["total"].shape == (7,)
