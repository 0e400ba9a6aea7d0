"""Comparison of an ONNX Runtime session's inputs and outputs with the manifest."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from foldserve_contract.signature import Signature

from ..artifact_signature import ArtifactTensor, compare

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


def _offered(nodes: list[Any]) -> list[ArtifactTensor]:
    return [ArtifactTensor(node.name, _DTYPES.get(node.type, node.type), _shape(node.shape)) for node in nodes]


def _shape(shape: list[Any] | None) -> tuple[int | None, ...] | None:
    return None if shape is None else tuple(size if isinstance(size, int) else None for size in shape)
