"""Runs coroutine tests, each on an event loop of its own."""

import asyncio
import inspect

import pytest

LIMIT_S = 60


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a test that is a coroutine function, for a limited time; pytest itself runs the others."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None

    async def limited() -> None:
        async with asyncio.timeout(LIMIT_S):
            await test(**{name: pyfuncitem.funcargs[name] for name in inspect.signature(test).parameters})

    asyncio.run(limited())
    return True
