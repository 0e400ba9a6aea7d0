"""Answers to callers while versions change and while the server stops."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc

from tests.bundles import make_bundle
from tests.server.running import METHODS, Running, images, predict_request, running

CALLERS = 8


class Load:
    """Callers on connections of their own, each asking again as soon as it is answered, until the first refusal."""

    def __init__(self, address: str) -> None:
        self.versions: Counter[int] = Counter()
        self.refusals: list[tuple[grpc.StatusCode, str]] = []
        self._address = address
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(seed,)) for seed in range(CALLERS)]

    @contextmanager
    def running(self) -> Iterator["Load"]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            for thread in self._threads:
                thread.join(60)

    def _ask(self, seed: int) -> None:
        expected = METHODS["Predict"]
        request = predict_request(image=images(1 + seed % 3, seed))
        with grpc.insecure_channel(self._address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            call = channel.unary_unary(expected.path, expected.request.SerializeToString, expected.response.FromString)
            while not self._stopping.is_set():
                try:
                    self.versions[call(request, timeout=30).model_spec.version.value] += 1
                except grpc.RpcError as error:
                    self.refusals.append((error.code(), error.details() or ""))
                    return


def loaded(server: Running) -> Load:
    return Load(server.address)


def test_no_request_fails_while_versions_change(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path) as server, loaded(server).running() as load:
        for version in (2, 3):
            make_bundle(tmp_path, "m", version, seed=version)
            server.wait_for_log(f"m/{version - 1}: unloaded")
        assert not load.refusals
        assert {1, 2} <= load.versions.keys()


def test_whoever_asks_while_the_server_stops_is_answered_or_told_to_go_elsewhere(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path) as server, loaded(server).running() as load:
        while len(load.versions) < 1:
            server.states()
        assert server.terminate() == 0
    assert {code for code, _ in load.refusals} == {grpc.StatusCode.UNAVAILABLE}, load.refusals


def test_a_version_that_was_unloaded_gives_its_shared_memory_back(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path) as server:
        before = shared_memory(server)
        for version in (2, 3, 4):
            make_bundle(tmp_path, "m", version, seed=version)
            server.wait_for_log(f"m/{version - 1}: unloaded")
            server.predict(image=images(1))
        assert shared_memory(server) == before


def shared_memory(server: Running) -> Counter[str]:
    """The memory of engines that the front end holds open, by name."""
    server.predict(image=images(1))
    results: Counter[str] = Counter()
    for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # the server closes files while it is looked at
            results[str(link.readlink())] += 1
    return Counter({name: count for name, count in results.items() if "foldserve-" in name})
