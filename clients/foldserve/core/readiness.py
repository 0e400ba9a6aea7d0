"""States of versions, and waiting until one is AVAILABLE."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError

from foldserve_contract.protos import GetModelStatusRequest, GetModelStatusResponse
from foldserve_contract.protos.methods import MODEL_METHODS

from ..errors import DeadlineExceeded, NotFound, NotReady, ProtocolError, Unavailable, Unimplemented
from ..retry import Retry
from ..status import State, Status, VersionStatus
from ..transport.protocol import PendingT
from . import health
from .address import ModelAddress
from .flow import Flow, Sleep
from .retrying_call import Sender

PATH = MODEL_METHODS["GetModelStatus"].path
POLL_BACKOFF = Retry(initial=0.05, maximum=1.0)
_NOT_YET = (Unavailable, NotFound, DeadlineExceeded)


def model_status(
    sender: Sender[PendingT], address: ModelAddress, deadline: float
) -> Flow[PendingT, tuple[VersionStatus, ...]]:
    """Fetches the states of a model's versions, newest first; only one if the address names it."""
    request = GetModelStatusRequest()
    address.write(request.model_spec)
    request.model_spec.signature_name = ""
    body = yield from sender.call(PATH, request.SerializeToString(), deadline)
    try:
        entries = GetModelStatusResponse.FromString(body).model_version_status
    except DecodeError as error:
        raise ProtocolError(f"the server's status of {address} cannot be read: {error}") from error
    return tuple(sorted(map(_version, entries), key=lambda version: -version.version))


def wait_ready(sender: Sender[PendingT], address: ModelAddress | None, deadline: float) -> Flow[PendingT, None]:
    """Polls, at growing intervals, until the model (or without one, the server) is ready.

    Raises:
        NotReady: The deadline passed; the message has the server's last reply.
    """
    attempt, last = 0, "no answer"
    while True:
        try:
            reason = yield from _why_not_ready(sender, address, deadline)
            if reason is None:
                return
            last = reason
        except _NOT_YET as error:
            last = last if isinstance(error, DeadlineExceeded) else str(error)
        attempt += 1
        delay = POLL_BACKOFF.backoff(attempt, sender.rng)
        if sender.transport.now() + delay >= deadline:
            raise NotReady(f"{address or 'the server'} did not become ready in time: {last}")
        yield Sleep(delay)


def _why_not_ready(
    sender: Sender[PendingT], address: ModelAddress | None, deadline: float
) -> Flow[PendingT, str | None]:
    if address is None:
        try:
            body = yield from sender.call(health.PATH, health.health_request(), deadline)
        except Unimplemented:
            return None  # the server answers, but has no health check
        return None if health.is_serving(body) else "its health is not SERVING"
    versions = yield from model_status(sender, address, deadline)
    return None if any(version.state is State.AVAILABLE for version in versions) else _describe(versions)


def _describe(versions: Sequence[VersionStatus]) -> str:
    states = [f"version {v.version} is {v.state.name}{': ' if v.message else ''}{v.message}" for v in versions]
    return "; ".join(states) or "it has no versions"


def _version(entry: Any) -> VersionStatus:
    state = State(entry.state) if entry.state in set(State) else State.UNKNOWN
    status = Status(entry.status.error_code) if entry.status.error_code in set(Status) else Status.UNKNOWN
    return VersionStatus(entry.version, state, status, entry.status.error_message)
