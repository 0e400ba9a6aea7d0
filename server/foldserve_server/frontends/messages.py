"""Messages between the supervisor and a front end.

```
supervisor → front end   FrontEndHello, the counters   EngineLinked, a socket and a shared status   TableSnapshot
                         StartListening   ReleaseEngine   Drain   Stop   AdminReply   Ping
front end → supervisor   TableAck   Listening   ListenFailed   EngineReleased   AdminRequest   CancelAdminRequest   Pong
```
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from foldserve_engine.spec import EngineKind

from ..engines import LoadReport
from ..models.model_config import Latest, Policy
from .admin_messages import AdminReply, AdminRequest, CancelAdminRequest


@dataclass(frozen=True, slots=True)
class FrontEndHello:
    """The first message to a front end: its identity, and how it is to run.

    Attributes:
        front_end: Its number; no other front end ever has it.
        slot: The slot it fills, from 0; a front end that crashes is replaced in its slot.
        slots: How many slots the counters have: one for each front end, and the supervisor's.
        parent: The supervisor's process.
        arguments: The command line that the server was started with.
        port: The port for gRPC.
        rest_port: The port for REST and the page; None where they are not here.
    """

    front_end: int
    slot: int
    slots: int
    parent: int
    arguments: tuple[str, ...]
    port: int
    rest_port: int | None


@dataclass(frozen=True, slots=True)
class Listening:
    """The front end accepts callers.

    Attributes:
        rest_port: The port on which REST really is.
    """

    rest_port: int | None


@dataclass(frozen=True, slots=True)
class ListenFailed:
    """The front end cannot listen, for that reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """An engine that serves.

    Attributes:
        path: The version directory.
        kind: Its library.
        report: Its load report.
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
    """A process of an engine; a socket to it and its shared status come with the message.

    Attributes:
        engine: The engine's number.
        epoch: Counts its processes.
    """

    engine: int
    epoch: int
    profile: EngineProfile


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """A version in a table snapshot.

    Attributes:
        servable: A number that no other version has.
        engine: The engine that answers; None where none does.
        shadow: The engine to which a share of its requests is mirrored.
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
    """A model in a table snapshot.

    Attributes:
        served: Whether a version of it has ever answered.
        policy: The policy that chooses which versions serve.
    """

    name: str
    versions: tuple[VersionEntry, ...]
    labels: Mapping[str, int]
    served: bool
    policy: Policy = field(default_factory=Latest)


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """An engine in a table snapshot: whether it answers, and how often it was restarted."""

    engine: int
    available: bool
    restarts: int


@dataclass(frozen=True, slots=True)
class TableSnapshot:
    """The whole routing table.

    Attributes:
        epoch: Counts the tables.
        started: Whether every model that was there at the start is loaded or refused.
        notices: What the model repository holds and is not served.
    """

    epoch: int
    started: bool
    models: tuple[ModelEntry, ...]
    engines: tuple[EngineEntry, ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableAck:
    """From now on every answer is given by the table of that epoch."""

    epoch: int


@dataclass(frozen=True, slots=True)
class StartListening:
    """The table that was acknowledged is the newest: callers may come."""


@dataclass(frozen=True, slots=True)
class ReleaseEngine:
    """An engine is to get no more requests from this front end.

    Attributes:
        reason: The error for the callers that wait for it; None where they are to be answered first.
        retry_after_ms: When they may try again.
    """

    engine: int
    reason: str | None
    retry_after_ms: int | None


@dataclass(frozen=True, slots=True)
class EngineReleased:
    """No caller of this front end waits for the engine any more."""

    engine: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Health is to report that nothing serves."""


@dataclass(frozen=True, slots=True)
class Stop:
    """No more callers are to be accepted; those that wait are answered within the grace."""

    grace_s: float


@dataclass(frozen=True, slots=True)
class Ping:
    """A heartbeat request."""

    number: int


@dataclass(frozen=True, slots=True)
class Pong:
    """The heartbeat: the answer of the front end's event loop to the ping of that number."""

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
