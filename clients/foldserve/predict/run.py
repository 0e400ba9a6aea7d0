"""A run, as the list of its steps."""

import shutil
import sys
import time
from pathlib import Path

from foldserve_contract.signature import Signature

from ..client import Client
from ..errors import NotFound
from ..retry import Retry
from .assemble import assemble, check_names
from .collector import Collector
from .dataset import Dataset, collect
from .errors import ServerFailed, UsageError
from .options import Options
from .partial import FORMAT, Job, Partial, check_same
from .report import Summary, progress_bar
from .work import Work

PATIENT = Retry(attempts=30)
CONTACT = 10.0  # seconds: a wrong address should be told before the user has gone for coffee


def run(options: Options, quiet: bool) -> Summary:
    """Predicts everything, or goes on where an earlier run stopped.

    Raises:
        UsageError: It cannot be done so; nothing was sent.
        FoldserveError: The server failed; what is done is kept.
    """
    if options.out.exists() and not options.overwrite:
        raise UsageError(f"{options.out} is there already; name another file, or add --overwrite")
    began = time.monotonic()
    with collect(options.inputs) as dataset, Partial(options.out) as partial, _client(options) as client:
        job, signature = _job(client, options, dataset, partial)
        check_names(options.out, signature, options.outputs)
        readers = dataset.readers(signature, options.imaging)
        resumed = _begin(partial, job, options.restart)
        with Collector(partial, job.rows, options.save_every) as collector:
            with progress_bar(job.rows, resumed, sys.stderr, quiet) as advance:
                Work(client, job, readers, collector, advance).do()
            collector.finish(signature, job.outputs)
            errors = _publish(options.out, job, dataset, collector, partial)
        partial.remove()
    seconds = time.monotonic() - began
    failed, speed = collector.progress.failed, (job.rows - resumed) / seconds
    return Summary(
        options.out, job.model, job.version, job.rows, failed, resumed, seconds, speed, errors, dataset.ignored
    )


def _client(options: Options) -> Client:
    return Client(
        options.target.server,
        timeout=options.timeout,
        retry=PATIENT,
        in_flight=options.in_flight,
        channels=options.channels,
        tls=options.tls,
        token=options.token,
    )


def _job(client: Client, options: Options, dataset: Dataset, partial: Partial) -> tuple[Job, Signature]:
    """What there is to do, at the version that the unfinished run began with if there is one."""
    target, before = options.target, None if options.restart else partial.job()
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
    job = Job(
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
        check_same(before, job)
    return job, signature


def _begin(partial: Partial, job: Job, restart: bool) -> int:
    """Goes on with the unfinished run or begins; how many rows are done."""
    if restart or partial.job() != job:
        partial.begin(job)
    return partial.progress().rows


def _publish(out: Path, job: Job, dataset: Dataset, collector: Collector, partial: Partial) -> Path | None:
    """Puts the list of failures and then the output in their places."""
    errors = out.with_name(out.name + ".errors.jsonl")
    if collector.progress.failed:
        copy = partial.folder / "errors.copy"
        shutil.copyfile(partial.errors, copy)
        copy.replace(errors)
    else:
        errors.unlink(missing_ok=True)
    assemble(out, job, dataset, collector, partial.folder)
    return errors if collector.progress.failed else None
