"""Request streams: closed when the server stops, answered concurrently and in order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


class StreamCloser:
    """Ends all request streams that are read through `until_closed`."""

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Ends the streams now."""
        self._closed.set()

    async def until_closed(self, requests: AsyncIterator[T]) -> AsyncIterator[T]:
        """Yields the requests until `close`."""
        closed = asyncio.ensure_future(self._closed.wait())
        pending = requests.__aiter__()
        try:
            while True:
                following = asyncio.ensure_future(pending.__anext__())
                try:
                    await asyncio.wait({following, closed}, return_when=asyncio.FIRST_COMPLETED)
                    if not following.done():
                        return
                    yield following.result()
                except StopAsyncIteration:
                    return
                finally:
                    following.cancel()
        finally:
            closed.cancel()


async def in_order(
    requests: AsyncIterator[T], answer: Callable[[T], Awaitable[bytes]], at_once: int
) -> AsyncIterator[bytes]:
    """Yields the answers in the order of the requests, of which up to `at_once` are being answered concurrently."""
    slots = asyncio.Semaphore(at_once)
    answers: asyncio.Queue[asyncio.Future[bytes] | None] = asyncio.Queue()
    reading = asyncio.ensure_future(_read(requests, answer, slots, answers))
    following: asyncio.Future[bytes] | None = None
    try:
        while (following := await answers.get()) is not None:
            yield await following
            slots.release()
    finally:
        reading.cancel()
        while following is not None:
            following.cancel()
            following = None if answers.empty() else answers.get_nowait()


async def _read(
    requests: AsyncIterator[T],
    answer: Callable[[T], Awaitable[bytes]],
    slots: asyncio.Semaphore,
    answers: "asyncio.Queue[asyncio.Future[Any] | None]",
) -> None:
    try:
        async for request in requests:
            await slots.acquire()
            answers.put_nowait(asyncio.ensure_future(answer(request)))
    finally:
        answers.put_nowait(None)
