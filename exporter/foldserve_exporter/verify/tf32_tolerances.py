"""TF32 tolerances: the deviation to promise for GPUs that round to TF32."""

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
    """Tolerances by output: `tolerance.reduced` of the deviation that rounding to TF32 causes on the verification rows.

    This machine rounds exactly as TF32 is defined. GPUs round likewise before they multiply, but sum in another order,
    for which `promised` leaves room. The server's golden check refuses a GPU that deviates more.

    Args:
        content: The ONNX model.
        signature: Its inputs and outputs.
        rows: The rows to run it on.
        reference: The right answers.

    Raises:
        Refused: The rounded model cannot be run, returns values that are not finite, or changes an output of integers.
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
