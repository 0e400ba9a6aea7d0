"""Messages of the Open Inference Protocol v2 with Triton's extensions, in a descriptor pool of their own.

A module of its own, so that clients of TensorFlow Serving's protocol do not load it.
"""

from pathlib import Path
from typing import Any

from google.protobuf.message_factory import GetMessageClass

from . import load_pool
from .methods import methods_of

DESCRIPTORS = Path(__file__).with_name("open_inference.binpb").read_bytes()
POOL = load_pool(DESCRIPTORS)

INFERENCE_SERVICE = "inference.GRPCInferenceService"
INFERENCE_METHODS = methods_of(POOL, INFERENCE_SERVICE)


def message(name: str) -> Any:
    """The class of a message of package `inference`.

    Raises:
        KeyError: The package has no such message.
    """
    return GetMessageClass(POOL.FindMessageTypeByName(f"inference.{name}"))


ModelInferRequest = message("ModelInferRequest")
ModelInferResponse = message("ModelInferResponse")
ModelStreamInferResponse = message("ModelStreamInferResponse")
ModelMetadataResponse = message("ModelMetadataResponse")
ModelConfigResponse = message("ModelConfigResponse")
ModelStatisticsResponse = message("ModelStatisticsResponse")
RepositoryIndexResponse = message("RepositoryIndexResponse")
