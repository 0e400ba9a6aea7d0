"""What may be promised of a GPU that rounds to TF32: how far the rounded model is from the reference."""

import math
from collections.abc import Mapping

from foldserve_contract import tolerance
from foldserve_contract.errors import FoldserveError
from foldserve_contract.signature import Signature
from foldserve_engine.onnx.onnx_engine import OnnxEngine
from foldserve_engine.spec import EngineSpec

from ..emit.tf32 import with_tf32
from ..errors import Refused
from ..samples.rows import VerificationRows
from .batches import plan_batches, run_batches
from .judge import judge
from .reference import Reference


def tf32_promises(
    content: bytes, signature: Signature, rows: VerificationRows, reference: Reference
) -> Mapping[str, float]:
    """By output: `tolerance.reduced` of what rounding to TF32 did to the verification rows.

    It is rounded on this machine, exactly as TF32 is defined; GPUs round so before they multiply, and sum in an order
    of their own, for which `promised` is there. One that does worse is found out by the gate.

    Args:
        content: The ONNX model.
        signature: What it takes and gives.
        rows: What is asked.
        reference: The right answers.

    Raises:
        Refused: Rounding cannot be told, gives what is not finite, or changes an output of whole numbers.
    """
    batches = plan_batches(rows)
    try:
        engine = OnnxEngine.from_bytes(with_tf32(content), signature, EngineSpec(optimise=False))
        answers = run_batches(engine.run, rows, batches)
    except Refused:
        raise
    except FoldserveError as error:
        raise Refused(f"TF32 cannot be verified for this model: {error}; export it without --tf32") from error
    verdict = judge("onnxruntime, TF32", answers, batches, reference, signature)
    measured = {name: output.deviation for name, output in verdict.outputs.items()}
    return {spec.name: _promise(spec.name, measured.get(spec.name, math.nan), reference) for spec in signature.outputs}


def _promise(output: str, measured: float, reference: Reference) -> float:
    whole = reference.outputs[output].dtype.kind != "f"
    if not math.isfinite(measured) or (whole and measured):
        raise Refused(f"TF32 changes output {output!r} by {measured:g}: export it without --tf32")
    return tolerance.reduced(reference.promised(output), measured)
