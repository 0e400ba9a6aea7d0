"""Writes `foldserve_contract/protos/tfserving.binpb` from the installed `tensorflow-serving-api`.

Run it with `make descriptors` after raising that package's version. It is the only code here that imports the
package (and with it TensorFlow); the set it writes is loaded by `foldserve_contract.protos` without either.
"""

from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from tensorflow_serving.apis import model_service_pb2, prediction_log_pb2, prediction_service_pb2

ROOTS = (prediction_service_pb2, model_service_pb2, prediction_log_pb2)
TARGET = Path(__file__).parent / "foldserve_contract" / "protos" / "tfserving.binpb"


def collect(file: FileDescriptor, into: dict[str, FileDescriptor]) -> None:
    """Adds a file after all it imports, so that a pool can take the set in order."""
    for dependency in file.dependencies:
        collect(dependency, into)
    into.setdefault(file.name, file)


def main() -> None:
    """Writes the descriptor set and says what is in it."""
    files: dict[str, FileDescriptor] = {}
    for root in ROOTS:
        collect(root.DESCRIPTOR, files)
    bundle = FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(bundle.file.add())
    TARGET.write_bytes(bundle.SerializeToString(deterministic=True))
    print(f"{TARGET.name}: {len(files)} files, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
