"""The loop of an engine process: one thread that takes what has come, computes a batch, and answers it."""

import logging
import time
from collections.abc import Callable, Iterator

from foldserve_contract.errors import TensorError
from foldserve_contract.signature import Array

from ..errors import EngineLost, RunFailed
from ..link.channel import Closed
from ..link.packets import JobKey, Outcome, Submit
from ..link.shared_status import SharedStatus
from ..protocol import Engine
from ..rows import Gather
from .batch_queue import Batch, BatchQueue, Job, Part
from .front_end_links import FrontEndLink, FrontEndLinks
from .request_memory import OpenRequest, RequestInvalid, WrittenOutputs

_log = logging.getLogger(__name__)
Clock = Callable[[], int]


class Worker:
    """Computes what comes over the links until the supervisor closes its channel."""

    def __init__(
        self,
        links: FrontEndLinks,
        engine: Engine,
        queue: BatchQueue,
        status: SharedStatus,
        clock: Clock = time.monotonic_ns,
    ) -> None:
        """Owns the links and the queue from then on."""
        self._links = links
        self._engine = engine
        self._queue = queue
        self._status = status
        self._clock = clock
        self._gather = Gather.into(engine)
        self._tasks: dict[JobKey, OpenRequest] = {}

    def serve(self) -> None:
        """Works until the supervisor has closed its channel.

        Raises:
            EngineLost: The engine can compute nothing any more.
        """
        try:
            while True:
                heard = self._links.wait(self._queue.wait_ns(self._clock()))
                self._status.turn()
                for link in heard:
                    self._receive(link)
                for link in self._links.ended():
                    self._drop(link)
                self._turn()
                self._links.flush()
        except Closed:
            return
        except EngineLost as error:  # said before the links close: whoever sees that ends the process
            _log.error("the engine ends, and another takes its place: %s", error)
            raise
        finally:
            self._links.close()

    def _receive(self, link: FrontEndLink) -> None:
        now_ns = self._clock()
        for submit, descriptor in link.receive():
            if submit.cancel:
                self._cancel((link.front, submit.slot, submit.generation))
            else:
                self._submit(link, submit, descriptor, now_ns)

    def _submit(self, link: FrontEndLink, submit: Submit, descriptor: int | None, now_ns: int) -> None:
        key = (link.front, submit.slot, submit.generation)
        try:
            task = link.request_memory.open(submit, descriptor)
            shapes = link.request_memory.inputs.row_shapes(submit.dims)
            self._queue.add(Job(key, submit.rows, shapes, now_ns, submit.deadline_ns or None, submit.exact))
        except (RequestInvalid, ValueError) as error:
            _log.error("a request was refused: %s", error)
            self._answer(key, Outcome.REJECTED)
        else:
            self._tasks[key] = task

    def _cancel(self, key: JobKey) -> None:
        if self._queue.cancel(key) is not None:
            self._settle(key, Outcome.CANCELLED)

    def _drop(self, link: FrontEndLink) -> None:
        """Forgets what a front end that is gone had asked."""
        keys = [key for key in self._tasks if key[0] == link.front]
        for key in keys:
            self._queue.cancel(key)
            del self._tasks[key]
        if keys:
            _log.info("front end %d has left %d requests behind; they are dropped", link.front, len(keys))

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
        self._status.count(batch.rows, batch.size, ((now_ns - job.arrived_ns, job.rows) for job in firsts))

    def _compute(self, batch: Batch) -> None:
        """Computes a batch; if it fails, each part alone, so that no request fails because of another.

        After any other error the process ends, and the shared status still says what it computed: that is lost with
        it, and must not be what ends the next one.
        """
        self._status.begin((part.job.key for part in batch.parts), batch.rows, self._clock())
        try:
            self._run(batch)
        except (RunFailed, TensorError, MemoryError) as error:
            if len(batch.parts) == 1:
                self._fail(batch.parts[0].job, error)
            for alone in self._apart(batch):
                self._compute(alone)
        self._status.end()

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
            placed = self._links[part.job.key[0]].request_memory.write(task, task.parts or [outputs])
        except (RunFailed, OSError) as error:
            self._fail(part.job, error)
        else:
            self._settle(part.job.key, Outcome.DONE, placed)

    def _fail(self, job: Job, error: Exception) -> None:
        _log.error("a request of %d rows failed: %s", job.rows, error)
        self._queue.fail(job.key)
        self._settle(job.key, Outcome.FAILED)

    def _settle(self, key: JobKey, outcome: Outcome, placed: WrittenOutputs | None = None) -> None:
        del self._tasks[key]
        self._answer(key, outcome, placed)

    def _answer(self, key: JobKey, outcome: Outcome, placed: WrittenOutputs | None = None) -> None:
        front, slot, generation = key
        self._links[front].answer(slot, generation, outcome, placed)
