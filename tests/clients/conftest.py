import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from foldserve import AsyncClient, Client
from foldserve.stream import AsyncPredictionStream

from .fake_server import ModelServer, sum_and_difference, times

Connect = Callable[..., Client]


class Awaited:
    """An `AsyncClient` with the methods of a `Client`: each call runs on an event loop to its end."""

    def __init__(self, client: AsyncClient, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._run(getattr(self._client, name)(*args, **kwargs))

    def _run(self, coroutine: Any) -> Any:
        result = self._runner.run(_await(coroutine))
        return self._iterate(result) if isinstance(result, AsyncPredictionStream) else result

    def _iterate(self, stream: AsyncPredictionStream) -> Iterator[Any]:
        return _AwaitedStream(stream, self._run)


class _AwaitedStream:
    def __init__(self, stream: AsyncPredictionStream, run: Callable[[Any], Any]) -> None:
        self._stream = stream
        self._run = run

    def __iter__(self) -> "_AwaitedStream":
        return self

    def __next__(self) -> Any:
        try:
            return self._run(self._stream.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        self._stream.close()


async def _await(coroutine: Any) -> Any:
    return await coroutine


@pytest.fixture
def server() -> Iterator[ModelServer]:
    running = ModelServer({"double": {1: times(2)}, "pair": {1: sum_and_difference()}}).start()
    yield running
    running.stop()


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest, server: ModelServer) -> Iterator[Connect]:
    """Makes clients of either kind, so that each test covers both."""
    with asyncio.Runner() as runner, ExitStack() as stack:

        def make(target: str | None = None, **options: Any) -> Any:
            kind = Client if request.param == "sync" else lambda *a, **k: Awaited(AsyncClient(*a, **k), runner)
            client = kind(target or server.target, **options)
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def client(connect: Connect) -> Client:
    return connect()
