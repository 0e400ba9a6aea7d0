from mmap import mmap

import numpy as np
import pytest

from foldserve_contract.signature import TensorSpec
from foldserve_engine.link.layout import Layout
from foldserve_engine.rows import ALIGNMENT

FIXED = Layout([TensorSpec("a", "float32", (-1, 3)), TensorSpec("b", "uint8", (-1,))])
DYNAMIC = Layout([TensorSpec("a", "int64", (-1, -1, 2)), TensorSpec("b", "bool", (-1, -1))])


def test_tensors_lie_aligned_one_after_the_other() -> None:
    memory = mmap(-1, 4096)
    views = FIXED.views(memory, 128, 10, ())
    assert FIXED.size(10, ()) == 128 + ALIGNMENT
    views["a"][:], views["b"][:] = 1.5, 7
    assert np.frombuffer(memory, np.float32, 30, 128).tolist() == [1.5] * 30
    assert memory[128 + 128 : 128 + 128 + 10] == bytes([7]) * 10


def test_dynamic_dimensions_are_read_from_the_arrays_and_give_the_shapes_back() -> None:
    arrays = {"a": np.zeros((3, 5, 2), np.int64), "b": np.zeros((3, 4), np.bool_)}
    dims = DYNAMIC.dims(arrays)
    assert (dims, DYNAMIC.dims_count) == ((5, 4), 2)
    assert DYNAMIC.row_shapes(dims) == ((5, 2), (4,))
    views = DYNAMIC.views(mmap(-1, 4096), 0, 3, dims)
    assert {name: (view.shape, view.dtype) for name, view in views.items()} == {
        name: (array.shape, array.dtype) for name, array in arrays.items()
    }


def test_no_rows_take_no_bytes() -> None:
    assert FIXED.size(0, ()) == 0
    assert FIXED.views(mmap(-1, 4096), 4096, 0, ())["a"].shape == (0, 3)


def test_memory_that_is_too_small_is_refused() -> None:
    with pytest.raises(TypeError):
        FIXED.views(mmap(-1, 64), 0, 10, ())
