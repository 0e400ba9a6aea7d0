"""Starts engines as the command line says."""

import asyncio
import logging
import os
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from foldserve_contract.bundle import MANIFEST, ONNX, ONNX_DATA, SAVED_MODEL
from foldserve_contract.errors import FoldserveError
from foldserve_contract.manifest import MAX_MANIFEST_BYTES, Manifest
from foldserve_contract.plain_saved_model import is_plain
from foldserve_contract.repository import path_exists, read_small
from foldserve_engine.errors import RuntimeConflict
from foldserve_engine.onnx.onnx_engine import check_installed, folder_of
from foldserve_engine.spec import SPEC_FIELDS, EngineKind

from ..config.options import EngineFlags, ServerOptions
from ..errors import CannotStart
from ..predict.shadow import Mirror
from ..system import free_memory
from . import EngineSettings, LocalEngine
from .serving_engine import EngineBackend, ServingEngine

log = logging.getLogger(__name__)
_LEAST_LOADING = 2
_ENOUGH_CORES = 4  # for one that loads beside those who serve
_ARTIFACTS = {EngineKind.ONNXRUNTIME: ONNX, EngineKind.TENSORFLOW: SAVED_MODEL}
_KINDS = {"onnx": EngineKind.ONNXRUNTIME, "tensorflow": EngineKind.TENSORFLOW}


StartProcess = Callable[[Path, EngineSettings], Awaitable[EngineBackend]]


class Launcher:
    """Starts engines as the options say, and not more at once than there are cores."""

    def __init__(self, options: ServerOptions, start: StartProcess = LocalEngine.start) -> None:
        """No engine is started yet.

        Args:
            options: How engines are run.
            start: Starts one of them.

        Raises:
            CannotStart: No engine can be run so.
        """
        self._options = options.engine
        self._start_process = start
        self._settings = {kind: settings_of(kind, options) for kind in EngineKind}
        self._loading = asyncio.Semaphore(max(_LEAST_LOADING, os.cpu_count() or 1))
        self._latest: dict[str, weakref.ref[ServingEngine]] = {}

    async def start(self, name: str, path: Path) -> ServingEngine:
        """See `models.model_engine.StartEngine`."""
        kind = choose(path, self._options, name)
        shadow = choose_shadow(path, self._options, kind)
        async with self._loading:
            engine = await (self._start(path, kind) if shadow is None else self._start_both(path, kind, shadow))
        self._latest[name] = weakref.ref(engine)
        return engine

    async def _start(self, path: Path, kind: EngineKind) -> ServingEngine:
        return ServingEngine(await self._start_process(path, self._settings_now(kind)), kind, path)

    async def _start_both(self, path: Path, kind: EngineKind, shadow: EngineKind) -> ServingEngine:
        """Starts an engine and its shadow engine; both must pass the gate."""
        behind = replace(self._settings_now(shadow), background=True)
        serving, mirrored = await self._all(path, self._settings_now(kind), behind)
        mirror = Mirror(ServingEngine(mirrored, shadow, path), self._options.shadow_share)
        return ServingEngine(serving, kind, path, mirror)

    def _settings_now(self, kind: EngineKind) -> EngineSettings:
        """The settings now: where cores are few, loading is throttled while other engines compute."""
        if len(os.sched_getaffinity(0)) >= _ENOUGH_CORES:
            return self._settings[kind]
        return replace(self._settings[kind], batches_of_others=self._batches)

    def _batches(self) -> int:
        """Number of batches that the latest version of every model has begun so far."""
        serving = [engine for reference in self._latest.values() if (engine := reference()) is not None]
        return sum(engine.process.batches for engine in serving)

    async def _all(self, path: Path, *settings: EngineSettings) -> list[EngineBackend]:
        """Starts engines at the same time; if one cannot be started, none is left."""
        starting = [asyncio.ensure_future(self._start_process(path, single)) for single in settings]
        try:
            return await asyncio.gather(*starting)
        except BaseException:
            for task in starting:
                task.cancel()
            for started in await asyncio.gather(*starting, return_exceptions=True):
                if not isinstance(started, BaseException):
                    await started.stop(0)
            raise

    def memory_shortage(self, name: str, path: Path) -> str | None:
        """The reason why no memory is free for a version beside what serves; None where enough is, or is not known.

        It is taken to need what the version before it takes, and not less than its files. What it takes of a GPU is
        known only once it is loaded.
        """
        if self._options.device != "cpu":
            return None
        before = self._latest.get(name, lambda: None)()
        measured = None if before is None else free_memory.private_bytes(before.info.pid)
        onnx = choose(path, self._options, name) is EngineKind.ONNXRUNTIME
        files = [file for file in (path / ONNX, path / ONNX_DATA) if path_exists(file)] if onnx else [path]
        return free_memory.shortage(
            max(measured or 0, sum(map(free_memory.artifact_bytes, files))), free_memory.free_bytes()
        )


def check_runtime() -> None:
    """Checks that no two ONNX Runtimes are installed, which overwrite each other's files.

    Raises:
        CannotStart: They do.
    """
    try:
        check_installed(folder_of)
    except RuntimeConflict as error:
        raise CannotStart(str(error)) from error


def choose(path: Path, options: EngineFlags, name: str) -> EngineKind:
    """The engine that is asked for; with `auto`, ONNX Runtime if the bundle has a model for it."""
    kind = options.choices.get(name, options.choice)
    if kind in _KINDS:
        return _KINDS[kind]
    if is_plain(path):
        return EngineKind.TENSORFLOW
    return EngineKind.ONNXRUNTIME if path_exists(path / ONNX) or _seals_onnx(path) else EngineKind.TENSORFLOW


def _seals_onnx(path: Path) -> bool:
    """Tests whether the manifest lists a model for ONNX Runtime, so that its absence is reported."""
    try:
        manifest = Manifest.from_bytes(read_small(path / MANIFEST, MAX_MANIFEST_BYTES))
    except (FoldserveError, OSError):
        return False
    return any(file.path == ONNX for file in manifest.files)


def choose_shadow(path: Path, options: EngineFlags, kind: EngineKind) -> EngineKind | None:
    """The shadow engine; None where it is the one that answers, or cannot run the bundle."""
    if options.shadow is None or _KINDS[options.shadow] is kind or is_plain(path):
        return None
    shadow = _KINDS[options.shadow]
    if not path_exists(path / _ARTIFACTS[shadow]):
        log.warning("%s holds no %s: its requests are shown to no shadow engine", path, _ARTIFACTS[shadow])
        return None
    return shadow


def settings_of(kind: EngineKind, options: ServerOptions) -> EngineSettings:
    """The settings of engines of that kind.

    Raises:
        CannotStart: None can be run so.
    """
    flags = options.engine
    spec = {name: getattr(flags, name) for name in SPEC_FIELDS}
    spec |= {"kind": kind, "front_ends": options.front_ends}
    try:
        return EngineSettings(
            **spec, max_request_bytes=options.transport.max_message_bytes, load_timeout_s=flags.load_timeout_s
        )
    except (ValueError, FoldserveError) as error:
        raise CannotStart(str(error)) from error
