"""A run of `predict-model`, step by step."""

import shutil
import sys
import time
from pathlib import Path

from foldserve_contract.signature import Signature

from ..client import Client
from ..errors import NotFound
from ..retry import Retry
from .dataset import Dataset, open_dataset
from .errors import ServerFailed, UsageError
from .options import RunOptions
from .output_file import check_output_names, write_output
from .partial_run import FORMAT, PartialRun, RunSpec, check_same
from .prediction_loop import PredictionLoop
from .report import Summary, progress_bar
from .result_writer import ResultWriter

RETRY = Retry(attempts=30)
FIRST_CONTACT_TIMEOUT = 10.0  # seconds: a wrong address is reported soon, whatever the timeout of requests


def run(options: RunOptions) -> Summary:
    """Predicts all rows, or resumes where an earlier run stopped.

    Raises:
        UsageError: Arguments or inputs are not valid; nothing was predicted.
        FoldserveError: The server failed; finished rows are kept.
    """
    if options.out.exists() and not options.overwrite:
        raise UsageError(f"{options.out} is there already; name another file, or add --overwrite")
    began = time.monotonic()
    with open_dataset(options.inputs) as dataset, PartialRun(options.out) as partial, _client(options) as client:
        # everything that can be refused is refused before the folder of an unfinished run is touched
        run_spec, signature = _run_spec(client, options, dataset, partial)
        check_output_names(options.out, signature, options.outputs)
        reader = dataset.reader(signature, options.imaging)
        resumed = _begin(partial, run_spec, options.restart)
        with ResultWriter(partial, run_spec.rows, options.save_every) as writer:
            with progress_bar(run_spec.rows, resumed, sys.stderr, options.quiet) as advance:
                PredictionLoop(client, run_spec, reader, writer, advance).run()
            writer.finish(signature, run_spec.outputs)
            # the output is the last to appear: once it exists, the run is complete
            errors = _publish(options.out, run_spec, dataset, writer, partial)
        partial.remove()
    seconds = time.monotonic() - began
    failed, speed = writer.progress.failed, (run_spec.rows - resumed) / seconds
    return Summary(
        options.out,
        run_spec.model,
        run_spec.version,
        run_spec.rows,
        failed,
        resumed,
        seconds,
        speed,
        errors,
        dataset.ignored,
    )


def _client(options: RunOptions) -> Client:
    return Client(
        options.target.server,
        timeout=options.timeout,
        retry=RETRY,
        in_flight=options.in_flight,
        channels=options.channels,
        tls=options.tls,
        token=options.token,
    )


def _run_spec(client: Client, options: RunOptions, dataset: Dataset, partial: PartialRun) -> tuple[RunSpec, Signature]:
    """The specification of this run, at the version of the unfinished run if there is one; and the signature."""
    target, before = options.target, None if options.restart else partial.run_spec()
    timeout = min(FIRST_CONTACT_TIMEOUT, options.timeout)
    # a target without a version keeps to the version that answered the rows already done
    if before and target.version is None:
        version = before.version
    else:
        version = client.resolve(target.model, version=target.version, timeout=timeout)
    try:
        signature = client.metadata(target.model, version=version, signature=options.signature, timeout=timeout)
    except NotFound as error:
        raise ServerFailed(
            f"{target.model}/{version} is not served ({error.message}); serve it again to resume the run that began"
            f" with it, or begin with --restart"
        ) from error
    run_spec = RunSpec(
        FORMAT,
        target.model,
        version,
        options.signature,
        str(signature),
        options.outputs,
        options.batch,
        str(options.imaging),
        dataset.fingerprint(),
        dataset.rows,
    )
    if before:
        check_same(before, run_spec)
    return run_spec, signature


def _begin(partial: PartialRun, run_spec: RunSpec, restart: bool) -> int:
    """Resumes the unfinished run or begins a new one; the number of rows already done."""
    if restart or partial.run_spec() != run_spec:
        partial.begin(run_spec)
    return partial.progress().rows


def _publish(out: Path, run_spec: RunSpec, dataset: Dataset, writer: ResultWriter, partial: PartialRun) -> Path | None:
    """Moves the list of failures, and then the output, to their places."""
    errors = out.with_name(out.name + ".errors.jsonl")
    if writer.progress.failed:
        copy = partial.folder / "errors.copy"
        shutil.copyfile(partial.errors, copy)
        copy.replace(errors)
    else:
        errors.unlink(missing_ok=True)
    write_output(out, run_spec, dataset, writer, partial.folder)
    return errors if writer.progress.failed else None
