import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from foldserve_server.context.call import Call, current_call, set_call
from foldserve_server.context.rights import ALL_RIGHTS, Rights, current_rights, set_rights
from foldserve_server.errors import Forbidden, ReloadFailed
from foldserve_server.models.model_config import ModelConfig
from foldserve_server.repository.authorized_admin import AuthorizedAdmin
from foldserve_server.repository.config_reload import Reloader
from foldserve_server.repository.load_unload_api import LoadUnloadApi


class FakeReloader:
    """Notes as whom it is called."""

    def __init__(self) -> None:
        self.calls: list[tuple[Rights, Call | None]] = []
        self.cancelled = False
        self.gate = asyncio.Event()

    async def reload(self, models: Sequence[ModelConfig], origin: str, rights: Rights) -> None:
        self.calls.append((current_rights(), current_call()))
        self.rights = rights
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


class FakeExplicit:
    """Notes what it is asked, and as whom."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Rights]] = []

    async def load(self, name: str) -> None:
        self.asked.append(("load", name, current_rights()))

    async def unload(self, name: str) -> None:
        self.asked.append(("unload", name, current_rights()))


def remote(reloader: FakeReloader, root: Path, explicit: FakeExplicit | None = None) -> AuthorizedAdmin:
    return AuthorizedAdmin(cast(Reloader, reloader), cast(LoadUnloadApi, explicit or FakeExplicit()), [root])


async def test_what_a_reload_starts_is_not_the_caller_s(tmp_path: Path) -> None:
    reloader = FakeReloader()
    reloader.gate.set()
    deployment = Rights("deployment", frozenset({"m"}), admin=True)
    set_rights(deployment)
    set_call(Call("reload", dict))
    await remote(reloader, tmp_path).reload([ModelConfig("m", tmp_path / "m")], "test")
    assert reloader.calls == [(ALL_RIGHTS, None)]
    assert reloader.rights == deployment, "what may be changed is the caller's"


def test_the_log_tells_of_a_reload_that_changed_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Refusing(FakeReloader):
        async def reload(self, models: Sequence[ModelConfig], origin: str, rights: Rights) -> None:
            raise ReloadFailed({"m version: 2": "sample 3 deviates"})

    with pytest.raises(ReloadFailed):
        asyncio.run(remote(Refusing(), tmp_path).reload([ModelConfig("m", tmp_path / "m")], "a caller"))
    (line,) = caplog.messages
    assert "a caller: nothing was changed" in line and "m version: 2" in line and "sample 3 deviates" in line


async def test_a_caller_who_leaves_cancels_it(tmp_path: Path) -> None:
    reloader = FakeReloader()
    asking = asyncio.ensure_future(remote(reloader, tmp_path).reload([], "test"))
    while not reloader.calls:
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait({asking})
    assert asking.cancelled() and reloader.cancelled


async def test_only_an_admin_may_and_only_within_the_roots(tmp_path: Path) -> None:
    reloader = FakeReloader()
    with pytest.raises(Forbidden, match="--allowed-roots"):
        await remote(reloader, tmp_path).reload([ModelConfig("m", Path("/etc"))], "test")
    set_rights(Rights("reader", None, admin=False))
    with pytest.raises(Forbidden, match="no right to change what is served"):
        await remote(reloader, tmp_path).reload([], "test")
    assert not reloader.calls


async def test_a_model_is_loaded_and_unloaded_by_an_admin_who_has_a_right_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    explicit = FakeExplicit()
    admin = remote(FakeReloader(), tmp_path, explicit)
    for holder in (Rights("reader", None, admin=False), Rights("deployment", frozenset({"n"}), admin=True)):
        set_rights(holder)
        for change in (admin.load, admin.unload):
            with pytest.raises(Forbidden, match="no right to"):
                await change("m")
    assert not explicit.asked
    await admin.load("n")
    await admin.unload("n")
    everybody = ALL_RIGHTS
    assert explicit.asked == [("load", "n", everybody), ("unload", "n", everybody)], "engines are nobody's own"
    assert caplog.messages == ["deployment asks to load model n", "deployment asks to unload model n"]
