import resource
import subprocess
import sys

import pytest

from foldserve_server.system.file_descriptors import raise_limit

PROGRAM = """
import resource
from foldserve_server.system.file_descriptors import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
print(raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_soft_limit_is_raised_to_the_hard_limit() -> None:
    output = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert output.split("\n")[0] == "300 (300, 300)"


@pytest.mark.parametrize(
    ("limits", "then"),
    [((1024, -1), 1 << 20), ((1024, 1 << 30), 1 << 20), ((1 << 22, 1 << 30), None), ((-1, -1), None)],
)
def test_an_unlimited_or_higher_limit_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], then: int | None
) -> None:
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda kind, now: calls.append(now))
    assert raise_limit() == (limits[0] if then is None else then)
    assert calls == ([] if then is None else [(then, limits[1])])
