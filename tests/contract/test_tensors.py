"""Tensors: arrays are unchanged by the wire, and invalid tensors are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from foldserve_contract.dtypes import DTYPES, dtype_named, dtype_numbered
from foldserve_contract.errors import TensorError
from foldserve_contract.protos import TensorProto
from foldserve_contract.tensors import decode, encode

NAMES = [dtype.name for dtype in DTYPES]


def proto(dtype: str, shape: tuple[int, ...], **fields: object) -> object:
    message = TensorProto(dtype=dtype_named(dtype).enum, **fields)
    for size in shape:
        message.tensor_shape.dim.add().size = size
    return message


@given(st.sampled_from(NAMES).flatmap(lambda name: arrays.arrays(name, arrays.array_shapes(min_dims=0, min_side=0))))
def test_every_array_comes_back_bit_for_bit(array: np.ndarray) -> None:
    decoded = decode(TensorProto.FromString(encode(array).SerializeToString()))
    assert decoded.dtype == array.dtype
    assert decoded.shape == array.shape
    assert decoded.tobytes() == array.tobytes()


def test_big_endian_and_strided_arrays_are_sent_by_value() -> None:
    array = np.arange(24, dtype=">f4").reshape(4, 6)[::2, ::-3]
    np.testing.assert_array_equal(decode(encode(array)), array)


@pytest.mark.parametrize("dtype", NAMES)
def test_typed_fields_are_read(dtype: str) -> None:
    values = np.array([0, 1, 1], dtype)
    field = values.view(np.uint16) if dtype == "float16" else values
    message = proto(dtype, (3,), **{dtype_named(dtype).field: field.tolist()})
    np.testing.assert_array_equal(decode(message), values)


def test_a_short_field_repeats_its_last_value_and_an_empty_one_is_zero() -> None:
    np.testing.assert_array_equal(decode(proto("float32", (2, 2), float_val=[1.5, 2.5])), [[1.5, 2.5], [2.5, 2.5]])
    np.testing.assert_array_equal(decode(proto("int32", (2,))), [0, 0])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "float16"])
def test_of_a_field_wider_than_its_dtype_the_lowest_bits_count(dtype: str) -> None:
    values = np.array([0x12, 0x7E, -3 if dtype.startswith("int") else 0x8D], np.int64).astype(dtype)
    width = 8 * values.itemsize
    bits = values.view(f"u{values.itemsize}").astype(np.int64)
    left_over = np.array([0x7FFE41 << width, -1 << width, 0x1234 << width])  # what a stack may have held
    wide = (bits | left_over).astype(np.int32)
    decoded = decode(proto(dtype, (3,), **{dtype_named(dtype).field: wide.tolist()}))
    assert decoded.tobytes() == values.tobytes()


def test_a_few_bytes_cannot_allocate_gigabytes() -> None:
    with pytest.raises(TensorError, match="4,000,000,000 bytes"):
        decode(proto("float32", (1_000_000_000,), float_val=[0.0]))
    with pytest.raises(TensorError, match="allowed"):
        decode(proto("float64", (2**40, 2**40), double_val=[0.0]))
    decode(proto("float32", (4,), float_val=[0.0]), max_bytes=16)
    with pytest.raises(TensorError):
        decode(proto("float32", (5,), float_val=[0.0]), max_bytes=16)


@pytest.mark.parametrize(
    "message",
    [
        proto("float32", (2,), tensor_content=b"\0" * 7),
        proto("float32", (2,), tensor_content=b"\0" * 12),
        proto("float32", (2,), float_val=[1.0, 2.0, 3.0]),
        proto("float32", (-1,), float_val=[1.0]),
        proto("bool", (1,), tensor_content=b"\2"),
        proto("float32", (1,) * 255, float_val=[1.0]),
        TensorProto(dtype=7, string_val=[b"text"]),
        TensorProto(),
    ],
    ids=["short", "long", "too many", "unknown size", "no bool", "rank", "string", "no dtype"],
)
def test_an_invalid_tensor_is_refused(message: object) -> None:
    with pytest.raises(TensorError):
        decode(message)


def test_an_unknown_rank_is_refused() -> None:
    message = TensorProto(dtype=1)
    message.tensor_shape.unknown_rank = True
    with pytest.raises(TensorError, match="fully known"):
        decode(message)


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([1j]), np.array([object()])])
def test_arrays_of_unsupported_dtypes_are_refused(array: np.ndarray) -> None:
    with pytest.raises(TensorError, match="not supported"):
        encode(array)


def test_the_numbers_are_tensorflows() -> None:
    from foldserve_contract.protos import POOL

    enum = POOL.FindEnumTypeByName("tensorflow.DataType")
    theirs = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF"}
    for dtype in DTYPES:
        assert enum.values_by_number[dtype.enum].name == f"DT_{theirs.get(dtype.name, dtype.name.upper())}"
        assert dtype_numbered(dtype.enum) is dtype
