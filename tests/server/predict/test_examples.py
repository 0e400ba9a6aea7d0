"""Examples cost what they hold, however often a context stands for what they lack."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from foldserve_contract.signature import Signature, TensorSpec
from foldserve_server.errors import InvalidRequest
from foldserve_server.predict.examples import FLOAT, Feature, input_tensors

SIGNATURE = Signature((TensorSpec("x", "float32", (-1, 2)),), (TensorSpec("y", "float32", (-1, 2)),))


class Values(Sequence[float]):
    """Two numbers; notes how often they are read."""

    def __init__(self) -> None:
        self.read = 0

    def __len__(self) -> int:
        return 2

    def __getitem__(self, at: Any) -> Any:
        return (1.5, -2.0)[at]

    def __iter__(self) -> Iterator[float]:
        self.read += 1
        return iter((1.5, -2.0))


def test_no_row_is_made_before_the_number_of_rows_is_judged() -> None:
    values = Values()
    example = {"x": Feature(frozenset([FLOAT]), values)}
    offer = input_tensors(SIGNATURE, [example] * 1000, 8000)["x"]
    assert (offer.dtype, offer.shape, values.read) == ("float32", (1000, 2), 0)
    np.testing.assert_array_equal(offer.read(), np.array([[1.5, -2.0]] * 1000, np.float32))


def test_what_would_take_more_than_may_be_is_refused() -> None:
    example = {"x": Feature(frozenset([FLOAT]), Values())}
    with pytest.raises(InvalidRequest, match="input 'x' of 1,001 examples takes 8,008 bytes; at most 8,000"):
        input_tensors(SIGNATURE, [example] * 1001, 8000)
