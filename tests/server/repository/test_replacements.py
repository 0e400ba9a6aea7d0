"""Bundles that are replaced in place: the same version, another content."""

import asyncio
import shutil
from pathlib import Path

from foldserve_server.models.query import ModelRef
from foldserve_server.models.servable import ServableState
from tests.server.fakes import write_version

from .watching import watching


async def test_what_was_said_of_a_refused_replacement_goes_when_the_old_directory_is_back(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        await harness.look()
        shutil.copytree(harness.root / "m" / "1", harness.root.parent / "kept")
        harness.starter.failing["m/1"] = "spoiled"
        write_version(harness.root, 1, created="later")
        await harness.look()
        assert harness.state(1) is ServableState.AVAILABLE and "its replacement was refused: spoiled" in harness.reason(
            1
        )
        shutil.rmtree(harness.root / "m" / "1")
        shutil.copytree(harness.root.parent / "kept", harness.root / "m" / "1")
        await harness.look()
        assert harness.state(1) is ServableState.AVAILABLE and not harness.reason(1)
        write_version(harness.root, 1, created="later")
        await harness.look()
        assert "its replacement was refused: spoiled" in harness.reason(1), "it is tried again, and told again"


async def test_a_bundle_replaced_in_place_is_a_reload(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)
        await harness.look()
        old = harness.starter.engines["m/1"]
        harness.starter.failing["m/1"] = "spoiled"
        write_version(harness.root, 1, created="later")
        await harness.look()
        assert harness.state(1) is ServableState.AVAILABLE and "spoiled" in harness.reason(1)
        del harness.starter.failing["m/1"]
        write_version(harness.root, 1, created="later still")
        await harness.look()
        await asyncio.wait_for(old.stopped.wait(), 5)
        assert harness.state(1) is ServableState.AVAILABLE and not harness.reason(1)
        assert harness.table.find(ModelRef("m", 1)).engine is harness.starter.engines["m/1"] is not old


async def test_a_version_that_changes_while_it_is_loaded_is_loaded_again_when_it_is_seen(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(harness.root, 1)

        def replace_it(key: str) -> None:
            write_version(harness.root, 1, created="later")

        harness.starter.on_start = replace_it
        await harness.look()
        assert harness.starter.started == ["m/1"] and harness.serving() == 1
        await harness.look()
        assert harness.starter.started == ["m/1"], "what was loaded is what is there"
