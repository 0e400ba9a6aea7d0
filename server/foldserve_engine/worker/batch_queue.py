"""Batch queue: forms batches of waiting jobs. Pure: no threads, no I/O, and the clock is a parameter.

Rows are what is counted. Jobs whose rows have one shape share batches. A job of more rows than a batch holds is
taken in parts that alternate with other jobs; any other is taken whole. Every job leaves the queue exactly once:
finished, failed, expired, cancelled, or answered at once because it has no rows.

An exact job is one whose rows' bits must not depend on what shares a batch with them: its rows are only computed in
batches of one size, in which that was found to hold.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..batch_sizes import check_sizes, padded
from ..link.packets import JobKey

RowShapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Job:
    """Job: the rows of one request.

    Attributes:
        key: Names the job; no two in the queue have the same.
        rows: How many rows it has.
        row_shapes: The shape of a row of each input. Only jobs of the same shapes share a batch.
        arrived_ns: When it came.
        deadline_ns: When its answer is of no use any more.
        exact: Whether it is computed in batches of the exact size only.
    """

    key: JobKey
    rows: int
    row_shapes: RowShapes
    arrived_ns: int
    deadline_ns: int | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Rows `start` to `stop` of a job."""

    job: Job
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """Number of rows of the part."""
        return self.stop - self.start

    @property
    def whole(self) -> bool:
        """True if it is all of its job."""
        return self.rows == self.job.rows


@dataclass(frozen=True, slots=True)
class Batch:
    """Parts to compute together, padded from `rows` up to `size` rows."""

    parts: tuple[Part, ...]
    rows: int
    size: int
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """Result of `BatchQueue.take`.

    Attributes:
        batch: What to compute now; None where nothing is ready.
        expired: Jobs whose deadline has passed; they are not in the queue any more.
        empty: Jobs without rows; they are not in the queue any more.
    """

    batch: Batch | None
    expired: tuple[Job, ...]
    empty: tuple[Job, ...]


@dataclass(slots=True)
class _Progress:
    job: Job
    ticket: int
    taken: int = 0
    finished: int = 0

    @property
    def left(self) -> int:
        return self.job.rows - self.taken


@dataclass(slots=True)
class _Group:
    """Jobs that may share batches and have rows to be taken, in the order in which they have their turn."""

    limit: int
    waiting: OrderedDict[JobKey, _Progress] = field(default_factory=OrderedDict)
    rows: int = 0

    @property
    def head(self) -> _Progress:
        return next(iter(self.waiting.values()))


class BatchQueue:
    """Jobs waiting for an engine that computes one batch at a time."""

    def __init__(
        self,
        max_batch_size: int,
        allowed_sizes: Sequence[int] = (),
        timeout_ns: int = 0,
        exact_rows: int = 1,
        *,
        together: bool = True,
    ) -> None:
        """An empty queue.

        Args:
            max_batch_size: Most rows in a batch.
            allowed_sizes: The sizes batches are padded up to, ascending, the last the largest; none: any size.
            timeout_ns: How long an unfilled batch waits for more rows.
            exact_rows: The one size of batches of exact jobs.
            together: Whether jobs share batches; where they do not, none waits for another.
        """
        check_sizes(max_batch_size, allowed_sizes)
        self._max = max_batch_size
        self._sizes = tuple(allowed_sizes)
        self._together = together
        self._timeout_ns = timeout_ns if together else 0
        self._exact_rows = exact_rows
        self._groups: dict[tuple[RowShapes, bool], _Group] = {}
        self._jobs: dict[JobKey, _Progress] = {}
        self._empty: list[Job] = []
        self._tickets = 0

    def __len__(self) -> int:
        """Jobs that are not settled."""
        return len(self._jobs) + len(self._empty)

    def add(self, job: Job) -> None:
        """Takes a job in.

        Raises:
            ValueError: A job of that key is here already.
        """
        if job.key in self._jobs:
            raise ValueError(f"job {job.key} is in the queue already")
        if job.rows == 0:
            self._empty.append(job)
            return
        progress = _Progress(job, self._ticket())
        self._jobs[job.key] = progress
        group = self._groups.setdefault(
            (job.row_shapes, job.exact), _Group(self._exact_rows if job.exact else self._max)
        )
        group.waiting[job.key] = progress
        group.rows += job.rows

    def cancel(self, key: JobKey) -> Job | None:
        """Removes a job that is not settled; gives it, or None if there is none of that key.

        What is being computed of it is then nobody's.
        """
        progress = self._jobs.pop(key, None)
        if progress is not None:
            self._forget(progress)
            return progress.job
        for index, job in enumerate(self._empty):
            if job.key == key:
                return self._empty.pop(index)
        return None

    def fail(self, key: JobKey) -> Job | None:
        """Takes a job out of which a part could not be computed; as `cancel`."""
        return self.cancel(key)

    def take(self, now_ns: int) -> Taken:
        """The next batch, of the shape whose first job has waited longest, and what must not be computed."""
        empty, self._empty = tuple(self._empty), []
        expired: list[Job] = []
        parts: list[Part] = []
        while not parts and (group := self._ready(now_ns)) is not None:
            parts = self._form(group, now_ns, expired)
        return Taken(self.batch(tuple(parts)) if parts else None, tuple(expired), empty)

    def finish(self, part: Part) -> bool:
        """Marks a part as computed; gives whether its job is thereby finished, and settled."""
        progress = self._jobs.get(part.job.key)
        if progress is None:
            return False  # cancelled meanwhile
        progress.finished += part.rows
        if progress.finished < progress.job.rows:
            return False
        del self._jobs[part.job.key]
        return True

    def batch(self, parts: tuple[Part, ...]) -> Batch:
        """The batch of some parts, which may share one."""
        rows, exact = sum(part.rows for part in parts), parts[0].job.exact
        return Batch(parts, rows, self._exact_rows if exact else padded(rows, self._sizes), exact)

    def wait_ns(self, now_ns: int) -> int | None:
        """Nanoseconds until `take` has something: 0 for now, None for not before another job comes."""
        if self._empty:
            return 0
        waits = [self._due_ns(group) - now_ns for group in self._groups.values()]
        return max(0, min(waits)) if waits else None

    def _ready(self, now_ns: int) -> _Group | None:
        ready = (group for group in self._groups.values() if self._due_ns(group) <= now_ns)
        return min(ready, key=lambda group: group.head.ticket, default=None)

    def _due_ns(self, group: _Group) -> int:
        arrived = group.head.job.arrived_ns
        return arrived if group.rows >= group.limit else arrived + self._timeout_ns

    def _form(self, group: _Group, now_ns: int, expired: list[Job]) -> list[Part]:
        parts: list[Part] = []
        space = group.limit
        while space and group.waiting and (self._together or not parts):
            progress = group.head
            if _is_past(progress.job, now_ns):
                expired.append(progress.job)
                self.cancel(progress.job.key)
                continue
            if progress.left > space and progress.job.rows <= group.limit:
                break
            parts.append(self._advance(group, progress, min(progress.left, space)))
            space -= parts[-1].rows
        return parts

    def _advance(self, group: _Group, progress: _Progress, rows: int) -> Part:
        """Takes rows of a job; one that has more goes behind all others of its group."""
        part = Part(progress.job, progress.taken, progress.taken + rows)
        if progress.left == rows:
            self._forget(progress)
        else:
            group.rows -= rows
            group.waiting.move_to_end(progress.job.key)
            progress.ticket = self._ticket()
        progress.taken += rows
        return part

    def _forget(self, progress: _Progress) -> None:
        """Takes a job out of its group, if it still has rows there."""
        key = (progress.job.row_shapes, progress.job.exact)
        group = self._groups.get(key)
        if group is None or group.waiting.pop(progress.job.key, None) is None:
            return
        group.rows -= progress.left
        if not group.waiting:
            del self._groups[key]

    def _ticket(self) -> int:
        self._tickets += 1
        return self._tickets


def _is_past(job: Job, now_ns: int) -> bool:
    return job.deadline_ns is not None and job.deadline_ns <= now_ns
