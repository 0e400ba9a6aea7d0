"""The loop of an engine process: one thread that takes what has come, computes a batch, and answers it."""

import logging
import os
import select
import time
from collections.abc import Callable, Iterator

from foldserve_contract.errors import TensorError
from foldserve_contract.signature import Array

from .batching import Batch, BatchQueue, Job, JobKey, Part
from .desk import Desk, Placed, Task, Unreadable
from .errors import RunFailed
from .gather import Gather
from .link.channel import Channel, Closed, Packet
from .link.messages import Arena, Kind, Outcome, Result, ResultCodec, Submit, SubmitCodec
from .link.status_page import StatusPage
from .protocol import Engine

_log = logging.getLogger(__name__)
Clock = Callable[[], int]


class Worker:
    """Computes what comes over a channel until the other side closes it."""

    def __init__(
        self, channel: Channel, engine: Engine, queue: BatchQueue, page: StatusPage, clock: Clock = time.monotonic_ns
    ) -> None:
        """Everything it works with; the queue is its own from then on."""
        self._channel = channel
        self._engine = engine
        self._queue = queue
        self._page = page
        self._clock = clock
        self._desk = Desk(engine.signature)
        self._gather = Gather()
        self._submits = SubmitCodec(self._desk.inputs.dims_count)
        self._results = ResultCodec(self._desk.outputs.dims_count)
        self._tasks: dict[JobKey, Task] = {}

    def serve(self) -> None:
        """Works until the other side has closed the channel."""
        try:
            while True:
                self._wait()
                self._receive()
                self._turn()
                self._channel.flush()
        except Closed:
            return

    def _wait(self) -> None:
        """Returns when there is something to do: a batch, a packet, or room for packets that are not sent yet."""
        wait_ns = self._queue.wait_ns(self._clock())
        if wait_ns != 0:
            writers = [self._channel] if self._channel.unsent else []
            select.select([self._channel], writers, [], None if wait_ns is None else wait_ns / 1e9)

    def _receive(self) -> None:
        while (packet := self._channel.receive()) is not None:
            if packet.kind is Kind.WORK:
                self._accept(packet)
            elif packet.kind is Kind.ATTACH:
                self._desk.attach(Arena.unpack(bytes(packet.payload)), packet.descriptors[0])
            else:
                raise Closed(f"a packet of kind {packet.kind.name} is out of place")

    def _accept(self, packet: Packet) -> None:
        descriptors = iter(packet.descriptors)
        now_ns = self._clock()
        for submit in self._submits.unpack(packet.payload):
            if submit.cancel:
                self._cancel((submit.slot, submit.generation))
            else:
                self._submit(submit, next(descriptors, None) if submit.own_memory else None, now_ns)
        for descriptor in descriptors:
            os.close(descriptor)

    def _submit(self, submit: Submit, descriptor: int | None, now_ns: int) -> None:
        key = (submit.slot, submit.generation)
        try:
            task = self._desk.open(submit, descriptor)
            shapes = self._desk.inputs.row_shapes(submit.dims)
            self._queue.add(Job(key, submit.rows, shapes, now_ns, submit.deadline_ns or None, submit.exact))
        except (Unreadable, ValueError) as error:
            _log.error("a request was refused: %s", error)
            self._answer(key, Outcome.REJECTED)
        else:
            self._tasks[key] = task

    def _cancel(self, key: JobKey) -> None:
        if self._queue.cancel(key) is not None:
            self._settle(key, Outcome.CANCELLED)

    def _turn(self) -> None:
        taken = self._queue.take(self._clock())
        for job in taken.expired:
            self._settle(job.key, Outcome.EXPIRED)
        for job in taken.empty:
            self._settle(job.key, Outcome.DONE)
        if taken.batch is not None:
            self._count(taken.batch)
            self._compute(taken.batch)

    def _count(self, batch: Batch) -> None:
        now_ns = self._clock()
        firsts = (part.job for part in batch.parts if not part.start)  # the others have waited once
        self._page.count(batch.rows, batch.size, ((now_ns - job.arrived_ns, job.rows) for job in firsts))

    def _compute(self, batch: Batch) -> None:
        """Computes a batch; if it fails, each part alone, so that nobody fails for another's request."""
        self._page.begin((part.job.key for part in batch.parts), batch.rows, self._clock())
        try:
            self._run(batch)
        except (RunFailed, TensorError, MemoryError) as error:
            if len(batch.parts) == 1:
                self._fail(batch.parts[0].job, error)
            for alone in self._apart(batch):
                self._compute(alone)
        finally:
            self._page.end()

    def _run(self, batch: Batch) -> None:
        rows = [(self._tasks[part.job.key].inputs, part.start, part.stop) for part in batch.parts]
        outputs = self._engine.run(self._gather.collect(rows, batch.size, own=batch.exact))
        if self._engine.signature.check_outputs(outputs) != batch.size:
            raise RunFailed(f"a batch of {batch.size} rows was not answered with as many")
        at = 0
        for part in batch.parts:
            self._finish(part, {name: array[at : at + part.rows] for name, array in outputs.items()})
            at += part.rows

    def _apart(self, batch: Batch) -> Iterator[Batch]:
        """A batch for each part that is not answered; none for a batch of one."""
        for part in batch.parts if len(batch.parts) > 1 else ():
            if part.job.key in self._tasks:
                yield self._queue.batch((part,))

    def _finish(self, part: Part, outputs: dict[str, Array]) -> None:
        task = self._tasks[part.job.key]
        if not part.whole:  # the engine may use its memory again before the last part is there
            task.parts.append({name: array.copy() for name, array in outputs.items()})
        if not self._queue.finish(part):
            return
        try:
            placed = self._desk.write(task, task.parts or [outputs])
        except (RunFailed, OSError) as error:
            self._fail(part.job, error)
        else:
            self._settle(part.job.key, Outcome.DONE, placed)

    def _fail(self, job: Job, error: Exception) -> None:
        _log.error("a request of %d rows failed: %s", job.rows, error)
        self._queue.fail(job.key)
        self._settle(job.key, Outcome.FAILED)

    def _settle(self, key: JobKey, outcome: Outcome, placed: Placed | None = None) -> None:
        del self._tasks[key]
        self._answer(key, outcome, placed)

    def _answer(self, key: JobKey, outcome: Outcome, placed: Placed | None = None) -> None:
        own = placed.memory if placed else None
        result = Result(*key, outcome, own is not None, placed.dims if placed else ())
        self._channel.put(Kind.RESULTS, self._results.pack(result), [own.descriptor] if own else [])
