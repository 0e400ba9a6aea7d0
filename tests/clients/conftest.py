import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from foldserve import AsyncClient, Client

from .fake_server import ModelServer, sum_and_difference, times

Ask = Callable[..., Any]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    running = ModelServer({"double": {1: times(2)}, "pair": {1: sum_and_difference()}}).start()
    yield running
    running.stop()


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, server: ModelServer) -> Ask:
    """`ask(use, **options)` gives a client of either kind to `use`, whose awaitables are awaited."""

    def ask_sync(use: Callable[[Any], Any], **options: Any) -> Any:
        with Client(server.target, **options) as client:
            return use(client)

    def ask_async(use: Callable[[Any], Any], **options: Any) -> Any:
        async def run() -> Any:
            async with AsyncClient(server.target, **options) as client:
                return await use(client)

        return asyncio.run(run())

    return ask_sync if request.param == "sync" else ask_async
