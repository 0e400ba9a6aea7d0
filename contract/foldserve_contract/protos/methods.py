"""Methods of gRPC services: path, request class, response class."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from . import POOL

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a gRPC service, with its message classes."""

    service: str
    name: str
    request: Any
    response: Any

    @property
    def path(self) -> str:
        """The path of the method in gRPC, `/package.Service/Method`."""
        return f"/{self.service}/{self.name}"


def methods_of(pool: DescriptorPool, service: str) -> dict[str, Method]:
    """The methods of a service by name."""
    return {
        method.name: Method(
            service, method.name, GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        )
        for method in pool.FindServiceByName(service).methods
    }


PREDICTION_METHODS = methods_of(POOL, PREDICTION_SERVICE)
MODEL_METHODS = methods_of(POOL, MODEL_SERVICE)
