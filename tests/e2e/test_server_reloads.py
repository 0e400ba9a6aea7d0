"""Reloads leave nothing behind."""

from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.bundles import make_bundle
from tests.server.running import Running, images, running

RELOADS = 10


def test_ten_reloads_leave_descriptors_and_processes_as_they_were(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path) as server:
        reload(server, tmp_path, 2)
        descriptors, engines = held(server, tmp_path), len(server.engines())
        assert engines == 1 and descriptors["memfd"] and descriptors["socket"]
        for version in range(3, 3 + RELOADS):
            reload(server, tmp_path, version)
        assert held(server, tmp_path) == descriptors
        assert len(server.engines()) == engines


def reload(server: Running, models: Path, version: int) -> None:
    make_bundle(models, "m", version, seed=version)
    server.wait_for_log(f"m/{version - 1}: unloaded")
    assert server.predict(image=images(1))["scores"].shape == (1, 5)


def held(server: Running, models: Path) -> Counter[str]:
    """Open descriptors by kind: sockets, pipes, shared memory, files that are no model's."""
    kinds: Counter[str] = Counter()
    for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # the watcher opens and closes files all the time
            target = str(link.readlink())
            if not target.startswith(str(models)):
                kinds["memfd" if target.startswith("/memfd:") else target.split(":")[0]] += 1
    return kinds
