"""Comparison of an ONNX Runtime session's inputs and outputs with the manifest."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from foldserve_contract.signature import Signature

from ..artifact_signature import ArtifactTensor, compare
from ..errors import SignatureMismatch

_DTYPES: Mapping[str, str] = MappingProxyType(
    {
        "tensor(float)": "float32",
        "tensor(double)": "float64",
        **{
            f"tensor({name})": name
            for name in ("bool", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
        },
    }
)


def require_signature(session: Any, signature: Signature) -> None:
    """Compares a session's inputs and outputs with the signature.

    Raises:
        SignatureMismatch: The model has other names, dtypes or shapes.
    """
    compare(signature, _offered(session.get_inputs()), _offered(session.get_outputs()), "model.onnx")


def require_order(session: Any, signature: Signature) -> None:
    """Compares the order of a session's inputs and outputs with the signature, for callers that go by position.

    Raises:
        SignatureMismatch: The model has the same names in another order.
    """
    for kind, values, specs in (
        ("inputs", session.get_inputs(), signature.inputs),
        ("outputs", session.get_outputs(), signature.outputs),
    ):
        listed, wanted = [value.name for value in values], [spec.name for spec in specs]
        if listed != wanted:
            raise SignatureMismatch(
                f"model.onnx lists its {kind} as {listed}, and the model as {wanted}: whoever goes by position takes"
                " one for another"
            )


def _offered(nodes: list[Any]) -> list[ArtifactTensor]:
    return [ArtifactTensor(node.name, _DTYPES.get(node.type, node.type), _shape(node.shape)) for node in nodes]


def _shape(shape: list[Any] | None) -> tuple[int | None, ...] | None:
    return None if shape is None else tuple(size if isinstance(size, int) else None for size in shape)
