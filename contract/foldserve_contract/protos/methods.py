"""The gRPC methods of TensorFlow Serving's two services: path, request class, response class."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.message_factory import GetMessageClass

from . import POOL

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"


@dataclass(frozen=True, slots=True)
class Method:
    """One unary method of a service."""

    service: str
    name: str
    request: Any
    response: Any

    @property
    def path(self) -> str:
        """The path under which gRPC calls it, `/package.Service/Method`."""
        return f"/{self.service}/{self.name}"


def _methods(service: str) -> dict[str, Method]:
    return {
        method.name: Method(
            service, method.name, GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        )
        for method in POOL.FindServiceByName(service).methods
    }


PREDICTION_METHODS = _methods(PREDICTION_SERVICE)
MODEL_METHODS = _methods(MODEL_SERVICE)
