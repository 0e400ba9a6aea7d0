"""Hands requests to an engine and its answers to the callers; outlives an engine that crashes."""

import asyncio
import os
from collections.abc import Collection, Iterator

from foldserve_contract.signature import Array, Arrays
from foldserve_engine.link.channel import Packet
from foldserve_engine.link.packets import (
    Credits,
    Origin,
    Outcome,
    PacketKind,
    Result,
    ResultCodec,
    Submit,
    SubmitCodec,
)
from foldserve_engine.link.shared_memory import SharedMemory

from ...errors import DeadlineExceeded, EngineFailed, InvalidRequest, ServingError, Unavailable
from ..connection import PacketConnection
from .pending import PendingRequest, PendingRequests
from .slabs import Slabs

_NOBODY = Origin(0, 0)
_LATEST_NS = (1 << 63) - 1  # on the wire
_EXPIRED = "the deadline passed before the request was computed"


class Dispatcher:
    """The only owner of a model version's calls.

    Every caller is answered once; a slot is freed when no engine can write to it any more.
    """

    def __init__(self, slabs: Slabs, calls: PendingRequests) -> None:
        """Without an engine, requests wait."""
        self._slabs = slabs
        self._calls = calls
        self._submits = SubmitCodec(slabs.input_dims, _NOBODY)
        self._results = ResultCodec(slabs.output_dims, _NOBODY)
        self._loop = asyncio.get_running_loop()
        self._connection: PacketConnection | None = None
        self._refusal: Unavailable | None = None
        self._answered = asyncio.Event()

    async def predict(self, inputs: Arrays, deadline_ns: int | None, exact: bool = False) -> dict[str, Array]:
        """The outputs for inputs that fit the signature; see `EngineProcess.predict`."""
        call = self._begin(inputs, deadline_ns, exact)
        try:
            return await call.future
        finally:
            if call.future.cancelled():
                self._leave(call)

    def attach(self, connection: PacketConnection, origin: Origin) -> None:
        """Takes an engine, which knows this front end by that origin; what waits is submitted to it."""
        self._submits = SubmitCodec(self._slabs.input_dims, origin)
        self._results = ResultCodec(self._slabs.output_dims, origin)
        self._connection = connection
        self._refusal = None
        connection.on_packet = self._on_packet
        connection.put(PacketKind.ATTACH, self._slabs.arena.pack(), [os.dup(self._slabs.descriptor)])
        for call in self._calls:
            self._send(call, connection)

    def detach(self, died: Collection[tuple[int, int]], refusal: Unavailable) -> None:
        """Says that the engine is gone, and which requests it was computing. The others wait for the next engine.

        Args:
            died: Slot and generation of the requests that are answered with `refusal`.
            refusal: The answer to them, and to every new request.
        """
        self._connection = None
        self._refusal = refusal
        for call in list(self._calls):
            if (call.slot, call.generation) in died and not call.future.done():
                call.future.set_exception(_again(refusal))
            if call.future.done():
                self._free(call)

    def refuse(self, refusal: Unavailable) -> None:
        """Takes no new requests."""
        self._refusal = refusal

    def fail(self, error: ServingError) -> None:
        """Answers every caller with an error."""
        for call in list(self._calls):
            if not call.future.done():
                call.future.set_exception(_again(error))
                self._leave(call)

    async def answered(self) -> None:
        """Returns once no caller is waiting."""
        while self._has_callers():
            self._answered.clear()
            await self._answered.wait()

    def close(self) -> None:
        """Gives the shared memory back. No engine may be attached."""
        self._slabs.close()

    def _begin(self, inputs: Arrays, deadline_ns: int | None, exact: bool) -> PendingRequest:
        if self._refusal is not None:
            raise _again(self._refusal)
        deadline_ns = None if deadline_ns is None else min(deadline_ns, _LATEST_NS)
        deadline_s = None if deadline_ns is None else deadline_ns / 1e9
        if deadline_s is not None and deadline_s <= self._loop.time():
            raise DeadlineExceeded(_EXPIRED)
        call = self._calls.admit(self._slabs.measure(inputs), self._loop.create_future())
        try:
            self._submit(call, inputs, deadline_ns, exact)
        except (OSError, TypeError, ValueError) as error:
            self._calls.free(call)
            raise _refused(error) from error
        except BaseException:
            self._calls.free(call)  # or its room would be gone for good
            raise
        if deadline_s is not None:
            call.timer = self._loop.call_at(deadline_s, self._expire, call)
        return call

    def _submit(self, call: PendingRequest, inputs: Arrays, deadline_ns: int | None, exact: bool) -> None:
        call.place = self._slabs.write(call.slot, call.size, inputs)
        own = call.place.own is not None
        submit = Submit(call.slot, call.generation, call.size.rows, deadline_ns or 0, own, call.size.dims, exact=exact)
        call.submit = submit
        if self._connection is not None:
            self._send(call, self._connection, at_once=len(self._calls) == 1)

    def _send(self, call: PendingRequest, connection: PacketConnection, *, at_once: bool = False) -> None:
        if call.submit is None or call.place is None:
            return
        own, record = call.place.own, self._submits.pack(call.submit)
        connection.put(PacketKind.WORK, record, [os.dup(own.descriptor)] if own else [], at_once=at_once)

    def _expire(self, call: PendingRequest) -> None:
        if not call.future.done():
            call.future.set_exception(DeadlineExceeded(_EXPIRED))
            self._leave(call)

    def _leave(self, call: PendingRequest) -> None:
        """The caller needs no answer: the engine is told, and the slot is freed on its word, or now without one."""
        if self._calls.find(call.slot, call.generation) is not call:
            return
        if self._connection is None:
            self._free(call)
        else:
            self._connection.put(PacketKind.WORK, self._submits.pack_cancel(call.slot, call.generation))
            self._answered.set()

    def _on_packet(self, packet: Packet) -> None:
        descriptors = iter(packet.descriptors)
        if packet.kind is PacketKind.RESULTS:
            for result in self._results.unpack(packet.payload):
                own = self._own_memory(result, descriptors)
                if not result.stale:
                    self._settle(result, own)
        elif packet.kind is PacketKind.CREDITS:
            self._calls.grant(Credits.unpack(bytes(packet.payload)))
        for descriptor in descriptors:
            os.close(descriptor)

    def _own_memory(self, result: Result, descriptors: Iterator[int]) -> SharedMemory | None:
        descriptor = next(descriptors, None) if result.own_memory else None
        if descriptor is None:
            return None
        memory = SharedMemory.attach(descriptor)
        memory.close()  # the mapping stays
        return memory

    def _settle(self, result: Result, own: SharedMemory | None) -> None:
        call = self._calls.find(result.slot, result.generation)
        if call is None:
            return
        if not call.future.done():
            self._answer(call, result, own)
        self._free(call)

    def _answer(self, call: PendingRequest, result: Result, own: SharedMemory | None) -> None:
        if result.outcome is not Outcome.DONE or call.place is None:
            call.future.set_exception(_error(result.outcome))
        elif own is not None:
            call.future.set_result(self._slabs.read_own(own, call.size, result.dims))
        else:
            call.future.set_result(self._slabs.read(call.place, call.size, result.dims))

    def _free(self, call: PendingRequest) -> None:
        self._calls.free(call)
        self._answered.set()

    def _has_callers(self) -> bool:
        return any(not call.future.done() for call in self._calls)


def _error(outcome: Outcome) -> ServingError:
    if outcome is Outcome.EXPIRED:
        return DeadlineExceeded(_EXPIRED)
    return EngineFailed("the engine could not compute the request; the server's log says why")


def _refused(error: Exception) -> ServingError:
    if isinstance(error, OSError):
        return Unavailable(f"there is no memory for the request: {error}")
    return InvalidRequest(f"the inputs do not have the dtypes and shapes of the signature: {error}")


def _again(error: ServingError) -> ServingError:
    """The same error as an object of its own: each caller's gets a traceback."""
    if isinstance(error, Unavailable):
        return type(error)(str(error), error.retry_after_ms)
    return type(error)(str(error))
