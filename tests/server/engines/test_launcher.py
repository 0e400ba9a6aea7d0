import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from foldserve_contract.bundle import MANIFEST, ONNX, SAVED_MODEL
from foldserve_engine.spec import EngineKind
from foldserve_server.config.options import EngineFlags
from foldserve_server.config.parse_flags import parse
from foldserve_server.engines import EngineSettings
from foldserve_server.engines.launcher import Launcher, choose, choose_shadow
from tests.bundles import dense_model, make_bundle

ONNXRUNTIME, TENSORFLOW = EngineKind.ONNXRUNTIME, EngineKind.TENSORFLOW


@pytest.fixture
def version(tmp_path: Path) -> Path:
    return make_bundle(tmp_path, model=dense_model())


def test_a_bundle_whose_onnx_model_is_missing_is_not_taken_for_one_without(version: Path) -> None:
    assert choose(version, EngineFlags(), "m") is ONNXRUNTIME
    (version / ONNX).unlink()
    assert choose(version, EngineFlags(), "m") is ONNXRUNTIME, "so that the reason names it"


def test_a_saved_model_without_a_manifest_is_tensorflow_s_whatever_lies_beside_it(version: Path) -> None:
    (version / SAVED_MODEL).touch()
    (version / MANIFEST).unlink()
    assert choose(version, EngineFlags(), "m") is TENSORFLOW
    assert choose_shadow(version, EngineFlags(shadow="onnx"), TENSORFLOW) is None
    assert choose(version, EngineFlags(choice="onnx"), "m") is ONNXRUNTIME, "who asks for it is told why it cannot be"


def test_a_pipe_in_the_manifest_s_place_is_not_waited_for(version: Path) -> None:
    for name in (MANIFEST, ONNX):
        (version / name).unlink()
    os.mkfifo(version / MANIFEST)
    assert choose(version, EngineFlags(), "m") is TENSORFLOW


@pytest.mark.parametrize(("cores", "waits"), [(2, True), (3, True), (4, False), (64, False)])
async def test_where_cores_are_few_who_loads_is_told_how_much_those_who_serve_have_computed(
    version: Path, monkeypatch: pytest.MonkeyPatch, cores: int, waits: bool
) -> None:
    request: list[EngineSettings] = []

    async def start(path: Path, settings: EngineSettings) -> Any:
        request.append(settings)
        return SimpleNamespace(batches=4 + len(request))

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    launcher = Launcher(parse([str(version.parents[1])]).options, start)
    first = await launcher.start("m", version)
    second = await launcher.start("n", version)
    others = request[-1].batches_of_others
    assert (others is not None) is waits
    if others is not None:
        assert others() == 5 + 6
        del first
        assert others() == 6, "what is gone does not count"
    del second
