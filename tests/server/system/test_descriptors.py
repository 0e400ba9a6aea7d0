import resource
import subprocess
import sys

import pytest

from foldserve_server.system.descriptors import raise_limit

PROGRAM = """
import resource
from foldserve_server.system.descriptors import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
print(raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_a_process_may_open_as_much_as_the_system_lets_it() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert told.split("\n")[0] == "300 (300, 300)"


@pytest.mark.parametrize(
    ("limits", "then"),
    [((1024, -1), 1 << 20), ((1024, 1 << 30), 1 << 20), ((1 << 22, 1 << 30), None), ((-1, -1), None)],
)
def test_no_bound_at_all_is_no_bound_to_set(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], then: int | None
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda kind, now: told.append(now))
    assert raise_limit() == (limits[0] if then is None else then)
    assert told == ([] if then is None else [(then, limits[1])])
