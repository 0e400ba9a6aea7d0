import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from foldserve_contract.dtypes import DTYPES, dtype_named
from foldserve_contract.errors import TensorError
from foldserve_contract.protos import PredictResponse
from foldserve_contract.signature import Array
from foldserve_contract.tensors import decode, encode
from foldserve_contract.wire.write import OUTPUTS, varint, with_tensors

any_array = st.sampled_from([dtype.name for dtype in DTYPES]).flatmap(
    lambda name: arrays(name, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=20))
)


@given(st.dictionaries(st.text(max_size=200), any_array, max_size=3), st.integers(0, (1 << 63) - 1))
def test_a_response_written_around_its_arrays_is_what_the_library_reads(
    outputs: dict[str, Array], version: int
) -> None:
    expected = PredictResponse()
    expected.model_spec.version.value = version
    written = with_tensors(expected, OUTPUTS, outputs)
    for name, array in outputs.items():
        expected.outputs[name].CopyFrom(encode(array))
    assert PredictResponse.FromString(written) == expected


@given(any_array)
@example(np.array([0, (1 << 63) + 1], np.uint64))  # on both sides of what a signed number may be
def test_typed_fields_hold_what_the_library_would_write(array: Array) -> None:
    dtype = dtype_named(array.dtype.name)
    expected = PredictResponse()
    expected.outputs["y"].CopyFrom(encode(array))
    expected.outputs["y"].ClearField("tensor_content")
    values = array.view(np.uint16) if dtype.name == "float16" else array
    getattr(expected.outputs["y"], dtype.field).extend(values.ravel().tolist())
    written = PredictResponse.FromString(with_tensors(PredictResponse(), OUTPUTS, {"y": array}, typed=True))
    assert written.SerializeToString() == expected.SerializeToString()
    assert decode(written.outputs["y"]).tobytes() == array.tobytes()


def test_strided_and_big_endian_arrays_are_written_by_value() -> None:
    array = np.arange(24, dtype=">f4").reshape(2, 3, 4).transpose(2, 0, 1)[::-1]
    response = PredictResponse.FromString(with_tensors(PredictResponse(), OUTPUTS, {"y": array}))
    np.testing.assert_array_equal(decode(response.outputs["y"]), array)


def test_an_unsupported_dtype_is_refused_by_its_name() -> None:
    with pytest.raises(TensorError, match="complex64"):
        with_tensors(PredictResponse(), OUTPUTS, {"y": np.zeros(2, np.complex64)})


@pytest.mark.parametrize(("value", "written"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_varints_have_the_fewest_bytes(value: int, written: bytes) -> None:
    assert varint(value) == written
