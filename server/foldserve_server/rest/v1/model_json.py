"""JSON of the state and the signatures of models, as TensorFlow Serving writes it."""

from collections.abc import Iterable
from typing import Any

from foldserve_contract.manifest import Manifest
from foldserve_contract.signature import TensorSpec

from ...errors import shorten
from ...models.servable import Servable

_PREDICT = "tensorflow/serving/predict"
_FAILED, _OK = "FAILED_PRECONDITION", "OK"
_DT = {
    "float32": "DT_FLOAT",
    "float64": "DT_DOUBLE",
    "float16": "DT_HALF",
}


def status(servables: Iterable[Servable]) -> dict[str, Any]:
    """The answer to a GET of a model: the state of its versions."""
    return {"model_version_status": [_version(servable) for servable in servables]}


def _version(servable: Servable) -> dict[str, Any]:
    return {
        "version": str(servable.version),
        "state": servable.state.name,
        "status": {
            "error_code": _FAILED if servable.failed else _OK,
            "error_message": shorten(servable.message),
        },
    }


def metadata(servable: Servable) -> dict[str, Any]:
    """The answer to a GET of a model's metadata: its signatures."""
    spec = {"name": servable.name, "signature_name": "", "version": str(servable.version)}
    signatures = {"signature_def": _signatures(servable.engine.info.manifest)}
    return {"model_spec": spec, "metadata": {"signature_def": signatures}}


def _signatures(manifest: Manifest) -> dict[str, Any]:
    return {
        key: {
            "inputs": {spec.name: _tensor(spec) for spec in signature.inputs},
            "outputs": {spec.name: _tensor(spec) for spec in signature.outputs},
            "method_name": _PREDICT,
            "defaults": {},
        }
        for key, signature in manifest.signatures.items()
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    dims = [{"size": str(size), "name": ""} for size in spec.shape]
    return {
        "dtype": _DT.get(spec.dtype, f"DT_{spec.dtype.upper()}"),
        "tensor_shape": {"dim": dims, "unknown_rank": False},
        "name": f"{spec.name}:0",
    }
