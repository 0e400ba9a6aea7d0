"""`--swap=stop-first`, for devices that hold one version only."""

from pathlib import Path

import grpc
import numpy as np

from tests.bundles import change_weight, make_bundle
from tests.server.running import Running, images, running

AVAILABLE, END = 30, 50


def asked_until(server: Running, words: str) -> set[grpc.StatusCode]:
    """The failures of requests that are made until the log has these words."""
    failures = set()
    while not any(words in line for line in server.log):
        try:
            server.predict(image=images(2))
        except grpc.RpcError as error:
            failures.add(error.code())
    return failures


def at(server: Running, words: str, since: int = 0) -> int:
    """Position of these words in the log."""
    return next(index for index, line in enumerate(server.log) if words in line and index >= since)


def test_the_old_version_is_gone_before_the_new_one_is_started(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1, seed=1)
    with running(tmp_path, "--swap=stop-first") as server:
        before = server.predict(image=images(2))["scores"]
        make_bundle(tmp_path, "m", 2, seed=2)
        failures = asked_until(server, "m/2: serving")
        assert failures <= {grpc.StatusCode.UNAVAILABLE}, "callers are told to come again"
        assert at(server, "m/1: unloaded") < at(server, "m/2: serving")
        assert len(server.engines()) == 1 and server.states()[1][0] == END and server.states()[2][0] == AVAILABLE
        after = server.predict(image=images(2))["scores"]
        assert not np.allclose(after, before)
        change_weight(make_bundle(tmp_path, "m", 3, seed=3), by=0.5)
        server.wait_for_log("m/3: refused")
        failures = asked_until(server, "m/2: unloaded") | {grpc.StatusCode.UNAVAILABLE}
        while server.states()[2][0] != AVAILABLE:
            pass
        assert failures == {grpc.StatusCode.UNAVAILABLE}
        assert at(server, "m/2: unloaded") < at(server, "m/3: refused") < at(server, "m/2: serving", at(server, "m/3"))
        np.testing.assert_allclose(server.predict(image=images(2))["scores"], after, atol=1e-6)
