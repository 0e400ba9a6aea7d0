"""Loads an artifact of a sealed bundle."""

from foldserve_contract.bundle import ONNX, ONNX_DATA, SAVED_MODEL, Bundle
from foldserve_contract.errors import MissingFile

from .protocol import Engine
from .spec import EngineKind, EngineSpec


def load_engine(bundle: Bundle, kind: EngineKind, options: EngineSpec | None = None) -> Engine:
    """The engine that runs the bundle's artifact of that kind.

    ONNX is loaded from the very bytes whose digest was compared; a SavedModel from its directory, which is compared
    with the seal once more after TensorFlow has read it.

    Raises:
        BundleError: The artifact is missing, or is not the sealed one.
        EngineError: It cannot be loaded as the options ask; see `errors`.
    """
    signature = bundle.manifest.signature
    sealed = {file.path for file in bundle.manifest.files}
    if kind is EngineKind.ONNXRUNTIME:
        from .onnx.artifact_files import OnnxFiles
        from .onnx.onnx_engine import OnnxEngine

        external = {ONNX_DATA: bundle.read(ONNX_DATA)} if ONNX_DATA in sealed else {}
        return OnnxEngine.from_bytes(OnnxFiles(bundle.read(ONNX), external), signature, options)
    if SAVED_MODEL not in sealed:
        raise MissingFile(f"{bundle.path}: the bundle holds no {SAVED_MODEL}")
    from .tensorflow_engine import TensorFlowEngine

    engine = TensorFlowEngine.from_directory(bundle.path, signature, options)
    bundle.verify()
    return engine
