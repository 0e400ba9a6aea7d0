"""TensorFlow Serving's protobuf messages, without TensorFlow.

The descriptors are in a pool of their own, so that one process can use these classes and TensorFlow's. Classes made at
run time have no static type: they are `Any` to a type checker, and their proto files document them.
"""

from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

DESCRIPTORS = Path(__file__).with_name("tfserving.binpb").read_bytes()


def load_pool(descriptors: bytes) -> DescriptorPool:
    """Loads a serialized FileDescriptorSet into a new pool; each file must follow the files it imports."""
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(descriptors).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


POOL = load_pool(DESCRIPTORS)


def message(full_name: str) -> Any:
    """The class of a message by its full name, such as `tensorflow.TensorProto`.

    Raises:
        KeyError: The descriptor set has no such message.
    """
    return GetMessageClass(POOL.FindMessageTypeByName(full_name))


TensorProto = message("tensorflow.TensorProto")
SignatureDef = message("tensorflow.SignatureDef")
PredictRequest = message("tensorflow.serving.PredictRequest")
PredictResponse = message("tensorflow.serving.PredictResponse")
PredictionLog = message("tensorflow.serving.PredictionLog")
GetModelMetadataRequest = message("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse = message("tensorflow.serving.GetModelMetadataResponse")
SignatureDefMap = message("tensorflow.serving.SignatureDefMap")
GetModelStatusRequest = message("tensorflow.serving.GetModelStatusRequest")
ModelServerConfig = message("tensorflow.serving.ModelServerConfig")
GetModelStatusResponse = message("tensorflow.serving.GetModelStatusResponse")
