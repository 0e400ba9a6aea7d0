"""Client of one engine: submits requests to its process and returns the answers. It outlives the engine's processes."""

import asyncio
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from socket import socket

from foldserve_contract.signature import Array, Arrays, Signature
from foldserve_engine.link.channel import Packet
from foldserve_engine.link.handshake import WarmedSize
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
from foldserve_engine.link.shared_status import SharedStatus

from ...errors import ServingError, Unavailable
from ...stats.counter_store import Counters
from ..connection import PacketConnection
from ..settings import EngineSettings
from .outcomes import copy_of, error_of, expired, submit_error
from .pending import PendingRequest, PendingRequests
from .slabs import Slabs

_NO_ORIGIN = Origin(0, 0)
_LATEST_NS = (1 << 63) - 1  # on the wire


class EngineClient:
    """The requests of one front end to one engine.

    Every caller is answered once; a slot is freed when no engine process can write to it any more.

    Attributes:
        pending: Requests that wait or are computed.
    """

    def __init__(
        self,
        front_end: int,
        signature: Signature,
        max_batch_size: int,
        credits: Credits,
        settings: EngineSettings,
        gauge: Counters | None = None,
    ) -> None:
        """Without a process, requests wait.

        Args:
            front_end: The front end's number.
            signature: The engine's inputs and outputs.
            max_batch_size: Most rows in a batch.
            credits: Rows and bytes that the engine grants to all front ends together.
            settings: How the engine was started.
            gauge: Where requests, rows and bytes in flight are shown.
        """
        share = credits.share(settings.front_ends)
        shared = replace(settings, max_queue_rows=share.rows, max_queue_bytes=share.size)
        self._slabs = Slabs(signature, max_batch_size, shared)
        self.pending = PendingRequests(self._slabs.arena, share, settings.max_request_bytes, gauge)
        self.pending.delay_s = settings.batch_timeout_micros / 1e6 if settings.together else 0.0
        self._front_end = front_end
        self._deterministic = settings.deterministic
        self._submits = SubmitCodec(self._slabs.input_dims, _NO_ORIGIN)
        self._results = ResultCodec(self._slabs.output_dims, _NO_ORIGIN)
        self._loop = asyncio.get_running_loop()
        self._connection: PacketConnection | None = None
        self._status: SharedStatus | None = None
        self._refusal: Unavailable | None = None
        self._settled = asyncio.Event()

    async def predict(self, inputs: Arrays, deadline_ns: int | None = None, exact: bool = False) -> dict[str, Array]:
        """The outputs for one request.

        Cancelling this means that the caller has left: what is not computed yet never will be.

        Args:
            inputs: Arrays that fit the signature, as the caller has checked.
            deadline_ns: When the answer is of no use any more, on CLOCK_MONOTONIC.
            exact: Whether a row's bits must depend on nothing but the row, as they always do where the settings are
                deterministic.

        Returns:
            Arrays of the caller's own.

        Raises:
            QueueFull: Too many rows or bytes are waiting.
            ResourceExhausted: The request is larger than any may be.
            DeadlineExceeded: The deadline passed first.
            Unavailable: The engine is restarting or has ended, or crashed while it computed this request.
            EngineFailed: The engine could not compute it.
            InvalidRequest: An input has another dtype than the signature's.
        """
        request = self._begin(inputs, deadline_ns, exact or self._deterministic)
        try:
            return await request.future
        finally:
            if request.future.cancelled():
                self._abandon(request)

    def attach(
        self, sock: socket, epoch: int, status: SharedStatus, largest: WarmedSize, on_end: Callable[[], None]
    ) -> None:
        """Takes a process of the engine; requests that wait are submitted to it.

        Args:
            sock: The front end's end of the link to the process.
            epoch: The process's number; counts the processes of one engine.
            status: The process's shared status, which shows what it computes.
            largest: How long its largest batch takes.
            on_end: Called when the process has closed the link.

        Raises:
            OSError: Waiting requests cannot be given to it.
        """
        self._status = status
        self.pending.seconds_per_row = largest.seconds / largest.rows
        self.connect(PacketConnection(sock, self._on_packet, on_end), epoch)

    def connect(self, connection: PacketConnection, epoch: int) -> None:
        """Submits what waits over a connection to the process of that number.

        Raises:
            OSError: Waiting requests cannot be given to it.
        """
        origin = Origin(self._front_end, epoch)
        self._submits = SubmitCodec(self._slabs.input_dims, origin)
        self._results = ResultCodec(self._slabs.output_dims, origin)
        self._connection = connection
        self._refusal = None
        connection.on_packet = self._on_packet
        connection.put(PacketKind.ATTACH, self._slabs.arena.pack(), [os.dup(self._slabs.descriptor)])
        for request in self.pending:
            self._send(request, connection)

    def lost(self, refusal: Unavailable) -> None:
        """Gives up the process, which is gone: requests that it was computing end with the refusal, others wait."""
        if self._connection is not None:
            self._connection.on_end = _ignore
            self._connection.receive()  # what it answered before it died
            self._connection.close()
        running = self._status.running() if self._status is not None else None
        self._status = None
        self.disconnect(running.of(self._front_end) if running else (), refusal)

    def disconnect(self, died: Collection[tuple[int, int]], refusal: Unavailable) -> None:
        """Ends the requests that a lost process was computing. The others wait for the next process.

        Args:
            died: Slot and generation of the requests that end with `refusal`.
            refusal: The answer to them, and to every new request.
        """
        self._connection = None
        self._refusal = refusal
        for request in list(self.pending):
            if (request.slot, request.generation) in died and not request.future.done():
                request.future.set_exception(copy_of(refusal))
            if request.future.done():
                self._free(request)

    def refuse(self, refusal: Unavailable) -> None:
        """Takes no new requests."""
        self._refusal = refusal

    def fail(self, error: ServingError) -> None:
        """Answers every waiting caller with an error."""
        for request in list(self.pending):
            if not request.future.done():
                request.future.set_exception(copy_of(error))
                self._abandon(request)

    async def answered(self) -> None:
        """Returns once no caller is waiting."""
        while any(not request.future.done() for request in self.pending):
            self._settled.clear()
            await self._settled.wait()

    def close(self) -> None:
        """Gives the shared memory back. No process may be attached."""
        self._slabs.close()

    def _begin(self, inputs: Arrays, deadline_ns: int | None, exact: bool) -> PendingRequest:
        """Admits a request, copies its inputs into shared memory and submits it."""
        if self._refusal is not None:
            raise copy_of(self._refusal)
        deadline_ns = None if deadline_ns is None else min(deadline_ns, _LATEST_NS)
        deadline_s = None if deadline_ns is None else deadline_ns / 1e9
        if deadline_s is not None and deadline_s <= self._loop.time():
            raise expired()
        request = self.pending.admit(self._slabs.measure(inputs), self._loop.create_future())
        try:
            self._submit(request, inputs, deadline_ns, exact)
        except (OSError, TypeError, ValueError) as error:
            self.pending.free(request)
            raise submit_error(error) from error
        except BaseException:
            self.pending.free(request)  # or its slot would be lost for good
            raise
        if deadline_s is not None:
            request.timer = self._loop.call_at(deadline_s, self._expire, request)
        return request

    def _submit(self, request: PendingRequest, inputs: Arrays, deadline_ns: int | None, exact: bool) -> None:
        request.view = self._slabs.write(request.slot, request.size, inputs)
        own, size = request.view.own is not None, request.size
        request.submit = Submit(
            request.slot, request.generation, size.rows, deadline_ns or 0, own, size.dims, exact=exact
        )
        if self._connection is not None:
            self._send(request, self._connection, at_once=len(self.pending) == 1)

    def _send(self, request: PendingRequest, connection: PacketConnection, *, at_once: bool = False) -> None:
        if request.submit is None or request.view is None:
            return
        own, record = request.view.own, self._submits.pack(request.submit)
        connection.put(PacketKind.WORK, record, [os.dup(own.descriptor)] if own else [], at_once=at_once)

    def _expire(self, request: PendingRequest) -> None:
        if not request.future.done():
            request.future.set_exception(expired())
            self._abandon(request)

    def _abandon(self, request: PendingRequest) -> None:
        """Cancels a request whose caller needs no answer; its slot is freed when the engine confirms it.

        Without a process the slot is freed now.
        """
        if self.pending.find(request.slot, request.generation) is not request:
            return
        if self._connection is None:
            self._free(request)
        else:
            self._connection.put(PacketKind.WORK, self._submits.pack_cancel(request.slot, request.generation))
            self._settled.set()

    def _on_packet(self, packet: Packet) -> None:
        descriptors = iter(packet.descriptors)
        if packet.kind is PacketKind.RESULTS:
            for result in self._results.unpack(packet.payload):
                own = _own_memory(result, descriptors)
                if not result.stale:
                    self._settle(result, own)
        elif packet.kind is PacketKind.CREDITS:
            self.pending.grant(Credits.unpack(bytes(packet.payload)))
        for descriptor in descriptors:
            os.close(descriptor)

    def _settle(self, result: Result, own: SharedMemory | None) -> None:
        request = self.pending.find(result.slot, result.generation)
        if request is None:
            return
        if not request.future.done():
            self._answer(request, result, own)
        self._free(request)

    def _answer(self, request: PendingRequest, result: Result, own: SharedMemory | None) -> None:
        if result.outcome is not Outcome.DONE or request.view is None:
            request.future.set_exception(error_of(result.outcome))
        elif own is not None:
            request.future.set_result(self._slabs.read_own(own, request.size, result.dims))
        else:
            request.future.set_result(self._slabs.read(request.view, request.size, result.dims))

    def _free(self, request: PendingRequest) -> None:
        self.pending.free(request)
        self._settled.set()


def _own_memory(result: Result, descriptors: Iterator[int]) -> SharedMemory | None:
    descriptor = next(descriptors, None) if result.own_memory else None
    if descriptor is None:
        return None
    memory = SharedMemory.attach(descriptor)
    memory.close()  # the mapping stays
    return memory


def _ignore() -> None:
    pass
