"""Triton's perf_analyzer, where it is installed, against a real server in both of its dialects."""

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.bundles import bytes_model, make_bundle
from tests.server.running import Running, running

PERF_ANALYZER = shutil.which("perf_analyzer")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(PERF_ANALYZER is None, reason="perf_analyzer is not installed")]
LOAD = ("--concurrency-range=2", "-p500", "-s999", "-r10", "-b2")  # -s: how unstable the load may be, in percent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("models")
    make_bundle(root, "m", 1)
    make_bundle(root, "bytes", 1, model=bytes_model())
    with running(root) as server:
        yield server


@pytest.mark.parametrize(
    "words",
    [
        ("-mm", "--service-kind=triton"),
        ("-mm", "--service-kind=triton", "--async", "--streaming"),
        ("-mm", "--service-kind=tfserving", "--model-signature-name=serving_default"),
        ("-mbytes", "--service-kind=triton"),
        ("-mbytes", "--service-kind=tfserving", "--model-signature-name=serving_default"),
    ],
)
def test_it_measures_what_it_asks(server: Running, words: tuple[str, ...]) -> None:
    command = [str(PERF_ANALYZER), f"-u{server.address}", "-igrpc", *words, *LOAD]
    message = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert re.search(r"Throughput: [1-9]", message.stdout), message.stdout + message.stderr
    if "--service-kind=triton" in words:
        assert re.search(r"Successful request count: [1-9]", message.stdout), message.stdout
