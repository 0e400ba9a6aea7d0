import io
from pathlib import Path

import numpy as np
import pytest

from foldserve_contract.npz import write_npz


def test_arrays_come_back_by_any_name(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    arrays = {
        name: draw.normal(size=(3, size)).astype(dtype)
        for size, (name, dtype) in enumerate(
            [("file", "f4"), ("allow_pickle", "f8"), ("input/x:0", "i8"), ("χ", "u1"), ("", "?")]
        )
    }
    write_npz(tmp_path / "a.npz", arrays)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert archive.files == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(archive[name], array)
            assert archive[name].dtype == array.dtype


def test_the_same_arrays_are_the_same_bytes() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    for target in (first, second):
        write_npz(target, {"x": np.arange(6.0).reshape(2, 3)})
    assert first.getvalue() == second.getvalue()


def test_objects_are_not_written() -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        write_npz(io.BytesIO(), {"x": np.array([object()], dtype=object)})
