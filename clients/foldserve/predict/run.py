"""A run, as the list of its steps."""

import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.signature import Array, Signature

from ..client import Client
from ..errors import NotFound, ServerError
from ..retry import Retry
from .assemble import assemble, check_names
from .collector import Collector
from .dataset import Dataset, Readers, collect
from .errors import ServerFailed, UsageError
from .options import Options
from .partial import FORMAT, Job, Partial, check_same
from .recover import may_be_the_input, recover
from .report import Advance, Summary, progress_bar
from .source import Part, RowFailure

PATIENT = Retry(attempts=30)


def run(options: Options, quiet: bool) -> Summary:
    """Predicts everything, or goes on where an earlier run stopped.

    Raises:
        UsageError: It cannot be done so; nothing was sent.
        FoldserveError: The server failed; what is done is kept.
    """
    began = time.monotonic()
    dataset = collect(options.inputs)
    if options.out.exists() and not options.overwrite:
        raise UsageError(f"{options.out} is there already; name another file, or add --overwrite")
    partial = Partial(options.out)
    try:
        with _client(options) as client:
            job, signature = _job(client, options, dataset, partial)
            check_names(options.out, options.outputs or [spec.name for spec in signature.outputs])
            readers = dataset.readers(signature, options.imaging)
            resumed = _begin(partial, job)
            collector = Collector(partial, job.rows)
            try:
                with progress_bar(job.rows, resumed, sys.stderr, quiet) as advance:
                    _Work(client, job, readers, collector, options.timeout, advance).do()
                collector.finish(signature, job.outputs)
                errors = _publish(options.out, job, dataset, collector, partial)
            finally:
                collector.close()
        partial.remove()
    finally:
        partial.release()
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
    version = (
        before.version if before and target.version is None else client.resolve(target.model, version=target.version)
    )
    try:
        signature = client.metadata(target.model, version=version, signature=options.signature)
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


def _begin(partial: Partial, job: Job) -> int:
    """Goes on with the unfinished run or begins; how many rows are done."""
    if partial.job() != job:
        partial.begin(job)
    return partial.progress().rows


def _publish(out: Path, job: Job, dataset: Dataset, collector: Collector, partial: Partial) -> Path | None:
    """Puts the list of failures and then the output in their places."""
    errors = out.with_name(out.name + ".errors.jsonl")
    if collector.progress.failed:
        partial.errors.replace(errors)
    else:
        errors.unlink(missing_ok=True)
    assemble(out, job, dataset, collector, partial.folder)
    return errors if collector.progress.failed else None


@dataclass(frozen=True, slots=True)
class _Batch:
    stop: int
    failures: list[RowFailure]


class _Work:
    """Requests on their way, and what is expected of them in order."""

    def __init__(
        self, client: Client, job: Job, readers: Readers, collector: Collector, timeout: float, advance: Advance
    ) -> None:
        self._client = client
        self._job = job
        self._readers = readers
        self._collector = collector
        self._timeout = timeout
        self._advance = advance
        self._expected: deque[tuple[Part, _Batch] | _Batch] = deque()

    def do(self) -> None:
        job = self._job
        with self._client.stream(
            job.model, self._parts(), version=job.version, signature=job.signature, outputs=job.outputs
        ) as stream:
            while True:
                try:
                    prediction = next(stream, None)
                except ServerError as error:
                    if not may_be_the_input(error):
                        raise
                    self._recover(*self._next_part())
                    continue
                if prediction is None:
                    break
                self._collector.predictions(self._next_part()[0].rows, prediction)
        self._end_batches()

    def _parts(self) -> Iterator[dict[str, Array]]:
        for start in range(self._collector.progress.rows, self._job.rows, self._job.batch):
            stop = min(start + self._job.batch, self._job.rows)
            rows = self._readers.read(start, stop)
            batch = _Batch(stop, list(rows.failures))
            self._expected.extend((part, batch) for part in rows.parts)
            self._expected.append(batch)
            yield from (part.arrays for part in rows.parts)

    def _next_part(self) -> tuple[Part, _Batch]:
        self._end_batches()
        expected = self._expected.popleft()
        assert isinstance(expected, tuple), "ended batches have just been taken away"
        return expected

    def _end_batches(self) -> None:
        while self._expected and isinstance(self._expected[0], _Batch):
            batch = self._expected.popleft()
            assert isinstance(batch, _Batch)
            self._collector.end_batch(batch.stop, sorted(batch.failures, key=lambda failure: failure.row))
            self._advance(min(self._job.batch, batch.stop - (batch.stop - 1) // self._job.batch * self._job.batch))

    def _recover(self, part: Part, batch: _Batch) -> None:
        answered, refused = recover(part, self._predict)
        for good, prediction in answered:
            self._collector.predictions(good.rows, prediction)
        for bad, error in refused:
            batch.failures.append(RowFailure(bad.rows[0], self._readers.name_of(bad.rows[0]), str(error)))

    def _predict(self, part: Part):  # type: ignore[no-untyped-def]
        job = self._job
        return self._client.predict_versioned(
            job.model, part.arrays, version=job.version, signature=job.signature, outputs=job.outputs
        )
