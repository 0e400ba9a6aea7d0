"""A run, as the list of its steps."""

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

PATIENT = Retry(attempts=30)
CONTACT = 10.0  # seconds: a wrong address should be told before the user has gone for coffee


def run(options: RunOptions) -> Summary:
    """Predicts everything, or goes on where an earlier run stopped.

    Raises:
        UsageError: It cannot be done so; nothing was sent.
        FoldserveError: The server failed; what is done is kept.
    """
    if options.out.exists() and not options.overwrite:
        raise UsageError(f"{options.out} is there already; name another file, or add --overwrite")
    began = time.monotonic()
    with open_dataset(options.inputs) as dataset, PartialRun(options.out) as partial, _client(options) as client:
        run_spec, signature = _run_spec(client, options, dataset, partial)
        check_output_names(options.out, signature, options.outputs)
        reader = dataset.reader(signature, options.imaging)
        resumed = _begin(partial, run_spec, options.restart)
        with ResultWriter(partial, run_spec.rows, options.save_every) as writer:
            with progress_bar(run_spec.rows, resumed, sys.stderr, options.quiet) as advance:
                PredictionLoop(client, run_spec, reader, writer, advance).do()
            writer.finish(signature, run_spec.outputs)
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
        retry=PATIENT,
        in_flight=options.in_flight,
        channels=options.channels,
        tls=options.tls,
        token=options.token,
    )


def _run_spec(client: Client, options: RunOptions, dataset: Dataset, partial: PartialRun) -> tuple[RunSpec, Signature]:
    """What there is to do, at the version that the unfinished run began with if there is one."""
    target, before = options.target, None if options.restart else partial.run_spec()
    contact = min(CONTACT, options.timeout)
    if before and target.version is None:
        version = before.version
    else:
        version = client.resolve(target.model, version=target.version, timeout=contact)
    try:
        signature = client.metadata(target.model, version=version, signature=options.signature, timeout=contact)
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
    """Goes on with the unfinished run or begins; how many rows are done."""
    if restart or partial.run_spec() != run_spec:
        partial.begin(run_spec)
    return partial.progress().rows


def _publish(out: Path, run_spec: RunSpec, dataset: Dataset, writer: ResultWriter, partial: PartialRun) -> Path | None:
    """Puts the list of failures and then the output in their places."""
    errors = out.with_name(out.name + ".errors.jsonl")
    if writer.progress.failed:
        copy = partial.folder / "errors.copy"
        shutil.copyfile(partial.errors, copy)
        copy.replace(errors)
    else:
        errors.unlink(missing_ok=True)
    write_output(out, run_spec, dataset, writer, partial.folder)
    return errors if writer.progress.failed else None
