"""Deviation of artifacts from the float64 reference, as a share of what is allowed."""

from pathlib import Path

from foldserve_contract.signature import Signature
from foldserve_exporter.steps.reference import ReferenceSet

SAVED_MODEL, ONNX, OPTIMISED = "SavedModel", "ONNX", "ONNX, optimised"


def of_the_limit(folder: Path, signature: Signature, expected: ReferenceSet) -> dict[str, float]:
    """By artifact the largest deviation / limit of its outputs, alone and among others; each read from its files.

    Raises:
        AssertionError: An artifact does not pass: its failures.
    """
    from foldserve_engine.onnx.onnx_engine import OnnxEngine
    from foldserve_engine.spec import EngineSpec
    from foldserve_engine.tensorflow_engine import TensorFlowEngine
    from foldserve_exporter.verify.batches import plan_batches, run_batches
    from foldserve_exporter.verify.judge import judge

    content = (folder / "model.onnx").read_bytes()
    engines: dict[str, OnnxEngine | TensorFlowEngine] = {
        SAVED_MODEL: TensorFlowEngine.from_directory(folder, signature, EngineSpec()),
        ONNX: OnnxEngine.from_bytes(content, signature, EngineSpec(optimise=False)),
        OPTIMISED: OnnxEngine.from_bytes(content, signature, EngineSpec()),
    }
    batches = plan_batches(expected.rows)
    shares = {}
    for name, engine in engines.items():
        verdict = judge(name, run_batches(engine.run, expected.rows, batches), batches, expected.reference, signature)
        assert verdict.passed, verdict.failures
        shares[name] = max(item.deviation / item.limit for item in verdict.outputs.values() if item.limit)
    return shares
