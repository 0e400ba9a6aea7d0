import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from foldserve.core.address import ModelAddress
from foldserve.core.prediction import predict_request
from foldserve_contract import tensors
from foldserve_contract.dtypes import DTYPES
from foldserve_contract.errors import TensorError
from foldserve_contract.protos import PredictRequest
from foldserve_contract.signature import Array

any_array = st.sampled_from([dtype.name for dtype in DTYPES]).flatmap(
    lambda name: arrays(name, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=20))
)


@given(st.dictionaries(st.text(max_size=200), any_array, max_size=3), st.lists(st.text(max_size=5), max_size=3))
def test_a_request_written_around_its_arrays_is_what_the_library_reads(
    inputs: dict[str, Array], outputs: list[str]
) -> None:
    request = PredictRequest.FromString(predict_request(ModelAddress("m", 7, "embed"), inputs, outputs))
    expected = PredictRequest(output_filter=outputs)
    expected.model_spec.name, expected.model_spec.signature_name = "m", "embed"
    expected.model_spec.version.value = 7
    for name, array in inputs.items():
        expected.inputs[name].CopyFrom(tensors.encode(array))
    assert request == expected


def test_arrays_in_any_memory_order_are_written_by_rows() -> None:
    array = np.arange(24, dtype=">f4").reshape(2, 3, 4).transpose(2, 0, 1)[::-1]
    request = PredictRequest.FromString(predict_request(ModelAddress("m"), {"x": array}, []))
    np.testing.assert_array_equal(tensors.decode(request.inputs["x"]), array)


def test_an_unsupported_dtype_is_refused_by_its_name() -> None:
    with pytest.raises(TensorError, match="complex64"):
        predict_request(ModelAddress("m"), {"x": np.zeros(2, np.complex64)}, [])
