"""Element types under the protocol's names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Datatype:
    """Element type.

    Attributes:
        name: The protocol's name.
        dtype: Numpy's name.
        config: The name in Triton's `ModelConfig`.
        field: The field of `InferTensorContents` that holds it; None where only raw contents can.
    """

    name: str
    dtype: str
    config: str
    field: str | None


_DATATYPES = (
    Datatype("BOOL", "bool", "TYPE_BOOL", "bool_contents"),
    Datatype("UINT8", "uint8", "TYPE_UINT8", "uint_contents"),
    Datatype("UINT16", "uint16", "TYPE_UINT16", "uint_contents"),
    Datatype("UINT32", "uint32", "TYPE_UINT32", "uint_contents"),
    Datatype("UINT64", "uint64", "TYPE_UINT64", "uint64_contents"),
    Datatype("INT8", "int8", "TYPE_INT8", "int_contents"),
    Datatype("INT16", "int16", "TYPE_INT16", "int_contents"),
    Datatype("INT32", "int32", "TYPE_INT32", "int_contents"),
    Datatype("INT64", "int64", "TYPE_INT64", "int64_contents"),
    Datatype("FP16", "float16", "TYPE_FP16", None),
    Datatype("FP32", "float32", "TYPE_FP32", "fp32_contents"),
    Datatype("FP64", "float64", "TYPE_FP64", "fp64_contents"),
)
BY_NAME = {datatype.name: datatype for datatype in _DATATYPES}
BY_DTYPE = {datatype.dtype: datatype for datatype in _DATATYPES}
