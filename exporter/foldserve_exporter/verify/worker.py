"""Worker process that reloads artifacts and runs them: `python -m foldserve_exporter.verify.worker KIND`.

It imports the library of its kind, then waits for one line on standard input: the folder of its job. The process is a
fresh one, because a registry, a cache or a default left by the export could make a broken artifact work.
"""

import sys
import traceback
from pathlib import Path

from ..error_text import error_text
from ..runtime import pin_runtime
from .batches import run_batches
from .job import Candidate, VerificationJob, WorkerKind, write_error, write_outputs


def main() -> int:
    """Imports the library, waits for the job and does it; 0 when every candidate left its outputs or an error."""
    pin_runtime()
    kind = WorkerKind(sys.argv[1])
    _import(kind)
    line = sys.stdin.readline().strip()
    if not line:
        return 0  # the export ended before there was anything to verify
    folder = Path(line)
    job = VerificationJob.read(folder)
    for candidate in job.candidates:
        if candidate.kind.worker is kind:
            _answer(folder, job, candidate)
    return 0


def _import(kind: WorkerKind) -> None:
    if kind is WorkerKind.TENSORFLOW:
        import keras  # noqa: F401
    else:
        from foldserve_engine.onnx.onnx_engine import import_runtime

        import_runtime()


def _answer(folder: Path, job: VerificationJob, candidate: Candidate) -> None:
    from .runners import open_candidate

    try:
        run = open_candidate(candidate, job)
        for number, (rows, batches) in enumerate(job.batches(candidate)):
            write_outputs(folder, candidate, run_batches(run, rows, batches), number)
    except Exception as error:  # whatever an artifact raises is the verdict over it, not a fault of this process
        traceback.print_exc()
        write_error(folder, candidate, error_text(error))


if __name__ == "__main__":
    sys.exit(main())
