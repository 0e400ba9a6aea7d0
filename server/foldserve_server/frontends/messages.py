"""What the supervisor and a front end say to one another.

```
supervisor → front end   WELCOME, the books   LINKED, a socket and a page   TABLE   LISTEN   RELEASE   DRAIN   STOP
                         ANSWERED   PING
front end → supervisor   ADOPTED   LISTENING   FAILED   RELEASED   ASKED   WITHDRAWN   PONG
```
"""

from collections.abc import Mapping
from dataclasses import dataclass

from foldserve_engine.protocol import EngineKind

from ..engines import LoadReport
from .policy_message import PolicyMessage


@dataclass(frozen=True, slots=True)
class FrontEndHello:
    """Who a front end is.

    Attributes:
        front: Its number; no other ever has it.
        seat: Whose place it takes, from 0.
        seats: How many books there are: one for each seat, and the supervisor's.
        parent: The supervisor's process.
        words: The command line that the server was started with.
        port: Where to listen.
        rest_port: Where REST and the page are; None for not here.
    """

    front: int
    seat: int
    seats: int
    parent: int
    words: tuple[str, ...]
    port: int
    rest_port: int | None


@dataclass(frozen=True, slots=True)
class Listening:
    """It takes callers.

    Attributes:
        rest_port: The real one.
    """

    rest_port: int | None


@dataclass(frozen=True, slots=True)
class ListenFailed:
    """It cannot listen, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """An engine that serves.

    Attributes:
        path: The version directory.
        kind: Its library.
        report: What it said when it was ready.
        credit_rows: Rows that all front ends together may have in flight.
        credit_bytes: Bytes of them.
    """

    path: str
    kind: EngineKind
    report: LoadReport
    credit_rows: int
    credit_bytes: int


@dataclass(frozen=True, slots=True)
class EngineLinked:
    """A process of an engine, and with it a socket to it, and the page on which it says what it computes.

    Attributes:
        engine: The engine's number.
        epoch: Counts its processes.
    """

    engine: int
    epoch: int
    profile: EngineProfile


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """A version as it stands.

    Attributes:
        servable: Tells it from others of its name and number.
        engine: What answers; None where nothing does.
        shadow: The engine that a share of its requests is shown to.
    """

    servable: int
    version: int
    state: int
    failed: bool
    cause: str
    reason: str
    engine: int | None
    shadow: int | None


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model, its versions and labels, whether a version of it has answered, and which are to."""

    name: str
    versions: tuple[VersionEntry, ...]
    labels: Mapping[str, int]
    served: bool
    wanted: PolicyMessage = PolicyMessage(latest=1)  # noqa: RUF009


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """An engine as it stands: whether it answers, and how often it was started again."""

    engine: int
    available: bool
    restarts: int


@dataclass(frozen=True, slots=True)
class TableSnapshot:
    """The whole routing table.

    Attributes:
        epoch: Counts the tables.
        started: Whether all that was there at the start is loaded or refused.
    """

    epoch: int
    started: bool
    models: tuple[ModelEntry, ...]
    engines: tuple[EngineEntry, ...]


@dataclass(frozen=True, slots=True)
class TableAck:
    """From now on every answer is given by the table of that epoch."""

    epoch: int


@dataclass(frozen=True, slots=True)
class StartListening:
    """The table that was adopted is the newest: callers may come."""


@dataclass(frozen=True, slots=True)
class ReleaseEngine:
    """An engine is to be asked nothing more.

    Attributes:
        reason: What those who wait are told now; None where they are to be answered.
        retry_after_ms: When they are to come again.
    """

    engine: int
    reason: str | None
    retry_after_ms: int | None


@dataclass(frozen=True, slots=True)
class EngineReleased:
    """Nobody waits for the engine any more."""

    engine: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Health says that nothing serves."""


@dataclass(frozen=True, slots=True)
class Stop:
    """No more callers; those that are there are answered within the grace."""

    grace_s: float


@dataclass(frozen=True, slots=True)
class AdminRequest:
    """What a caller wants of the supervisor.

    Attributes:
        number: Names the question.
        verb: What is wanted.
        content: With what, as JSON.
        holder: Who asks; see `context.rights.Rights`.
        models: What the caller has a right to; None for everything.
        admin: Whether the caller may change what is served.
    """

    number: int
    verb: str
    content: str
    holder: str
    models: tuple[str, ...] | None
    admin: bool


@dataclass(frozen=True, slots=True)
class CancelAdminRequest:
    """Whoever asked has left."""

    number: int


@dataclass(frozen=True, slots=True)
class AdminReply:
    """What became of a question.

    Attributes:
        error: The name of the error; None where there is none.
        message: Its words.
        reasons: Of a `ReloadFailed`.
        retry_after_ms: Of an `Unavailable`.
    """

    number: int
    error: str | None = None
    message: str = ""
    reasons: Mapping[str, str] | None = None
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """Is anybody there?"""

    number: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Whoever answers callers is: the answer to the ping of that number."""

    number: int


MESSAGE_TYPES: tuple[type, ...] = (
    FrontEndHello,
    Listening,
    ListenFailed,
    EngineLinked,
    TableSnapshot,
    TableAck,
    StartListening,
    ReleaseEngine,
    EngineReleased,
    Drain,
    Stop,
    AdminRequest,
    CancelAdminRequest,
    AdminReply,
    Ping,
    Pong,
)
