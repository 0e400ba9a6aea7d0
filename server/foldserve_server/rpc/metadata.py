"""Signatures of a manifest in TensorFlow Serving's messages."""

from typing import Any

from foldserve_contract.dtypes import dtype_named
from foldserve_contract.manifest import Manifest
from foldserve_contract.protos import GetModelMetadataResponse, SignatureDefMap
from foldserve_contract.signature import TensorSpec

from ..errors import InvalidRequest

FIELD = "signature_def"
PREDICT = "tensorflow/serving/predict"


def check_fields(fields: list[str]) -> None:
    """Raises InvalidRequest unless `signature_def`, and no other field, is requested."""
    if not fields:
        raise InvalidRequest("GetModelMetadataRequest must specify at least one metadata_field")
    for field in fields:
        if field != FIELD:
            raise InvalidRequest(f"Metadata field {field} is not supported")


def describe(name: str, version: int, manifest: Manifest) -> Any:
    """The GetModelMetadataResponse of a model."""
    signatures = SignatureDefMap()
    for key, signature in manifest.signatures.items():
        definition = signatures.signature_def[key]
        definition.method_name = PREDICT
        for specs, infos in ((signature.inputs, definition.inputs), (signature.outputs, definition.outputs)):
            for spec in specs:
                _describe_tensor(spec, infos[spec.name])
    message = GetModelMetadataResponse()
    message.model_spec.name = name
    message.model_spec.version.value = version
    message.metadata[FIELD].Pack(signatures)
    return message


def _describe_tensor(spec: TensorSpec, info: Any) -> None:
    info.name = f"{spec.name}:0"
    info.dtype = dtype_named(spec.dtype).enum
    for size in spec.shape:
        info.tensor_shape.dim.add().size = size
