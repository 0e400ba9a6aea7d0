"""Writes the descriptor sets in `foldserve_contract/protos`, from the packages that define the protocols.

`tfserving.binpb` comes from the installed `tensorflow-serving-api`, `open_inference.binpb` from `tritonclient`. Run it
with `make descriptors` after raising either one's version. It is the only code here that imports them (and with the
first, TensorFlow); the sets it writes are loaded by `foldserve_contract.protos` without either.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from tensorflow_serving.apis import model_service_pb2, prediction_log_pb2, prediction_service_pb2
from tritonclient.grpc import service_pb2

FOLDER = Path(__file__).parent / "foldserve_contract" / "protos"
SETS: dict[str, tuple[Any, ...]] = {
    "tfserving.binpb": (prediction_service_pb2, model_service_pb2, prediction_log_pb2),
    "open_inference.binpb": (service_pb2,),
}


def collect(file: FileDescriptor, into: dict[str, FileDescriptor]) -> None:
    """Adds a file after the files it imports, so that a pool can load the set in order."""
    for dependency in file.dependencies:
        collect(dependency, into)
    into.setdefault(file.name, file)


def write(target: Path, roots: Iterable[Any]) -> None:
    """Writes one descriptor set and prints its size."""
    files: dict[str, FileDescriptor] = {}
    for root in roots:
        collect(root.DESCRIPTOR, files)
    bundle = FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(bundle.file.add())
    target.write_bytes(bundle.SerializeToString(deterministic=True))
    print(f"{target.name}: {len(files)} files, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    for name, modules in SETS.items():
        write(FOLDER / name, modules)
