import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from foldserve_contract.records import RecordError, from_json, to_json
from foldserve_server import errors
from foldserve_server.context.rights import Rights, current_rights, set_rights
from foldserve_server.errors import ReloadFailed, ServingError
from foldserve_server.frontends.admin_messages import AdminReply, AdminRequest, CancelAdminRequest, LoadRequest
from foldserve_server.frontends.front_end.admin_client import AdminClient
from foldserve_server.frontends.supervisor import admin_service
from foldserve_server.models.model_config import All, Latest, ModelConfig, Specific

MODELS = (
    ModelConfig("a", Path("/models/a"), Latest(2), {"stable": 1, "canary": 2}),
    ModelConfig("b", Path("/models/b"), All()),
    ModelConfig("c", Path("/models/c"), Specific(frozenset({3, 4}))),
)


class Remembering:
    """An admin that remembers what it was asked, and by whom."""

    def __init__(self) -> None:
        self.asked: list[tuple[Sequence[ModelConfig], str, Rights]] = []
        self.named: list[tuple[str, str]] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.cancelled = asyncio.Event()

    async def reload(self, models: Sequence[ModelConfig], origin: str) -> None:
        self.asked.append((models, origin, current_rights()))
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.error is not None:
            raise self.error

    async def load(self, name: str) -> None:
        self.named.append(("load", name))

    async def unload(self, name: str) -> None:
        self.named.append(("unload", name))


class Between:
    """A front end's admin and the supervisor's request_memory, and nothing between them but documents."""

    def __init__(self) -> None:
        self.behind = Remembering()
        self.number = 7
        self.engines: set[int] = set()
        self.settled = 0
        self.service = admin_service.AdminService(self.behind, self.settle)
        self.admin = AdminClient(self.carry)
        self.channel = self

    async def settle(self) -> None:
        self.settled += 1

    def carry(self, document: object) -> None:
        if isinstance(document, AdminRequest):
            self.service.begin(self, document)  # type: ignore[arg-type]
        elif isinstance(document, CancelAdminRequest):
            self.service.cancel(self, document)  # type: ignore[arg-type]

    def send(self, document: object) -> None:
        assert isinstance(document, AdminReply)
        self.admin.on_reply(document)


async def test_a_reload_reaches_the_supervisor_as_it_was_asked_and_returns_when_it_is_settled() -> None:
    between = Between()
    set_rights(Rights("deployment", frozenset({"a", "b"}), True))
    await between.admin.reload(MODELS, "somebody")
    assert between.behind.asked == [(MODELS, "somebody", Rights("deployment", frozenset({"a", "b"}), True))]
    assert between.settled == 1


async def test_one_model_is_loaded_and_unloaded_by_the_supervisor() -> None:
    between = Between()
    await between.admin.load("a")
    await between.admin.unload("b")
    assert (between.behind.named, between.settled) == ([("load", "a"), ("unload", "b")], 2)


@pytest.mark.parametrize("kind", [item for item in vars(errors).values() if isinstance(item, type)])
async def test_an_error_comes_back_as_what_it_is(kind: type) -> None:
    if not issubclass(kind, ServingError) or kind is ReloadFailed:
        return
    error = kind("why", 25) if issubclass(kind, errors.Unavailable) else kind("why")
    between = Between()
    between.behind.error = error
    with pytest.raises(kind, match="why") as caught:
        await between.admin.reload(MODELS, "somebody")
    assert type(caught.value) is kind
    assert getattr(caught.value, "retry_after_ms", 25) == 25
    assert not between.settled


async def test_the_reasons_of_a_reload_that_failed_come_back_too() -> None:
    between = Between()
    between.behind.error = ReloadFailed({"a version: 3": "golden", "b": "missing"})
    with pytest.raises(ReloadFailed) as caught:
        await between.admin.reload(MODELS, "somebody")
    assert str(caught.value) == str(between.behind.error)


async def test_what_no_error_should_be_tells_no_internals(caplog: pytest.LogCaptureFixture) -> None:
    between = Between()
    between.behind.error = RuntimeError("/secret/path")
    with pytest.raises(errors.EngineFailed) as caught:
        await between.admin.reload(MODELS, "somebody")
    assert "secret" not in str(caught.value)
    assert "/secret/path" in caplog.text


async def test_a_caller_who_leaves_takes_the_reload_back() -> None:
    between = Between()
    between.behind.gate.clear()
    asking = asyncio.create_task(between.admin.reload(MODELS, "somebody"))
    while not between.behind.asked:
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait_for(between.behind.cancelled.wait(), 5)


async def test_a_front_end_that_dies_takes_back_what_its_callers_had_asked() -> None:
    between = Between()
    between.behind.gate.clear()
    asking = asyncio.create_task(between.admin.reload(MODELS, "somebody"))
    while not between.behind.asked:
        await asyncio.sleep(0)
    between.service.cancel_all(between)  # type: ignore[arg-type]
    await asyncio.wait_for(between.behind.cancelled.wait(), 5)
    asking.cancel()


async def test_two_questions_are_told_apart() -> None:
    between = Between()
    between.behind.gate.clear()
    asking = [asyncio.create_task(between.admin.reload(MODELS[:count], "x")) for count in (1, 2)]
    while len(between.behind.asked) < 2:
        await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.wait({asking[0]})
    between.behind.gate.set()
    await asking[1]


async def test_a_late_answer_is_nobodys() -> None:
    AdminClient(lambda message: None).on_reply(AdminReply(3))


def test_a_request_that_is_none_of_the_three_is_refused() -> None:
    content = to_json(AdminRequest(1, LoadRequest("m"), Rights("holder")))
    assert from_json(AdminRequest, content) == AdminRequest(1, LoadRequest("m"), Rights("holder"))
    with pytest.raises(RecordError, match="dance"):
        from_json(AdminRequest, {**content, "request": {"type": "dance", "name": "m"}})
