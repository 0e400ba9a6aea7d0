"""Loads a candidate in a worker process, by the engine's own code where servers run it."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from foldserve_contract.bundle import ONNX_DATA
from foldserve_contract.signature import Array, Arrays
from foldserve_engine.spec import EngineSpec

from .job import Candidate, CandidateKind, VerificationJob

CandidateFunction = Callable[[Arrays], dict[str, Array]]


def open_candidate(candidate: Candidate, job: VerificationJob) -> CandidateFunction:
    """Loads a candidate as a function from arrays by name to arrays by name."""
    return _OPENERS[candidate.kind](candidate, job)


def _open_saved_model(candidate: Candidate, job: VerificationJob) -> CandidateFunction:
    from foldserve_engine.tensorflow_engine import TensorFlowEngine

    return TensorFlowEngine.from_directory(Path(candidate.path), job.signature, EngineSpec()).run


def _open_onnx(candidate: Candidate, job: VerificationJob) -> CandidateFunction:
    from foldserve_engine.onnx.artifact_files import OnnxFiles
    from foldserve_engine.onnx.onnx_engine import OnnxEngine

    path = Path(candidate.path)
    data = path.with_name(ONNX_DATA)
    external = {ONNX_DATA: data.read_bytes()} if data.exists() else {}
    options = EngineSpec(optimise=candidate.optimise)
    engine = OnnxEngine.from_bytes(OnnxFiles(path.read_bytes(), external), job.signature, options)
    engine.require_order()  # engines go by name; other callers of the file may go by position
    return engine.run


def _open_keras(candidate: Candidate, job: VerificationJob) -> CandidateFunction:
    from ..naming import NamedModel
    from ..tracing import traced

    names = [tuple(spec.name for spec in specs) for specs in (job.signature.inputs, job.signature.outputs)]
    return traced(
        NamedModel(_loaded(candidate.path, job.trust_code, job.custom_objects, job.search), *names),
        training=candidate.training,
    )


@lru_cache(maxsize=1)
def _loaded(path: str, trust_code: bool, custom_objects: tuple[str, ...], search: tuple[str, ...]) -> Any:
    """Loads a Keras file; the cached model serves the candidates of both learning phases."""
    from ..load.loader import load_model
    from ..load.modules import extend_search_path

    extend_search_path(search)
    return load_model(Path(path), trust_code=trust_code, custom_objects=custom_objects).model


_OPENERS = {
    CandidateKind.SAVED_MODEL: _open_saved_model,
    CandidateKind.ONNX: _open_onnx,
    CandidateKind.KERAS: _open_keras,
}
