"""Bundles that are replaced in place: the same version, another content."""

import asyncio
import shutil
from pathlib import Path

from foldserve_server.models.query import ModelRef
from foldserve_server.models.servable import ServableState
from tests.server.fakes import write_version

from .watching import watching


async def test_what_was_said_of_a_refused_replacement_goes_when_the_old_directory_is_back(tmp_path: Path) -> None:
    async with watching(tmp_path) as house:
        write_version(house.root, 1)
        await house.look()
        shutil.copytree(house.root / "m" / "1", house.root.parent / "kept")
        house.starter.failing["m/1"] = "spoiled"
        write_version(house.root, 1, created="later")
        await house.look()
        assert house.state(1) is ServableState.AVAILABLE and "its replacement was refused: spoiled" in house.reason(1)
        shutil.rmtree(house.root / "m" / "1")
        shutil.copytree(house.root.parent / "kept", house.root / "m" / "1")
        await house.look()
        assert house.state(1) is ServableState.AVAILABLE and not house.reason(1)
        write_version(house.root, 1, created="later")
        await house.look()
        assert "its replacement was refused: spoiled" in house.reason(1), "it is tried again, and told again"


async def test_a_bundle_replaced_in_place_is_a_reload(tmp_path: Path) -> None:
    async with watching(tmp_path) as house:
        write_version(house.root, 1)
        await house.look()
        old = house.starter.engines["m/1"]
        house.starter.failing["m/1"] = "spoiled"
        write_version(house.root, 1, created="later")
        await house.look()
        assert house.state(1) is ServableState.AVAILABLE and "spoiled" in house.reason(1)
        del house.starter.failing["m/1"]
        write_version(house.root, 1, created="later still")
        await house.look()
        await asyncio.wait_for(old.stopped.wait(), 5)
        assert house.state(1) is ServableState.AVAILABLE and not house.reason(1)
        assert house.table.find(ModelRef("m", 1)).engine is house.starter.engines["m/1"] is not old


async def test_a_version_that_changes_while_it_is_loaded_is_loaded_again_when_it_is_seen(tmp_path: Path) -> None:
    async with watching(tmp_path) as house:
        write_version(house.root, 1)

        def replace_it(key: str) -> None:
            write_version(house.root, 1, created="later")

        house.starter.on_start = replace_it
        await house.look()
        assert house.starter.started == ["m/1"] and house.serving() == 1
        await house.look()
        assert house.starter.started == ["m/1"], "what was loaded is what is there"
