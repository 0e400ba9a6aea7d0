from pathlib import Path

import pytest

from foldserve_server.models.model_config import All, Latest, Policy, Specific
from foldserve_server.repository.aspired_versions import next_step
from foldserve_server.repository.scanner import VersionSnapshot


def seen(version: int, digest: str = "a", *, ready: bool = True, fingerprint: str = "f") -> VersionSnapshot:
    return VersionSnapshot(version, Path(str(version)), digest, fingerprint, ready)


ONE, TWO, THREE = seen(1), seen(2), seen(3)


@pytest.mark.parametrize(
    ("listing", "loaded", "refused", "load", "leave"),
    [
        pytest.param([], {}, {}, None, [], id="an empty repository"),
        pytest.param([ONE, TWO], {}, {}, 2, [], id="the highest first"),
        pytest.param([ONE, TWO], {1: "a"}, {}, 2, [1], id="a higher one than serves"),
        pytest.param([ONE, TWO], {1: "a", 2: "a"}, {}, None, [1], id="what it replaced is left"),
        pytest.param([ONE, TWO], {2: "a"}, {}, None, [], id="nothing better"),
        pytest.param([ONE, TWO], {}, {2: "f"}, 1, [], id="the next where the highest was refused"),
        pytest.param([ONE, TWO, THREE], {2: "a"}, {3: "f"}, None, [], id="a refused one is left alone"),
        pytest.param([ONE, TWO, THREE], {2: "a"}, {3: "before"}, 3, [2], id="a refused one that changed"),
        pytest.param([ONE, seen(2, "b")], {2: "a"}, {}, 2, [], id="what serves was replaced in place"),
        pytest.param([ONE, seen(2, "b")], {2: "a"}, {2: "f"}, None, [], id="its replacement was refused"),
        pytest.param([ONE, seen(2, "b", ready=False)], {2: "a"}, {}, None, [], id="its replacement is being copied"),
        pytest.param([ONE, seen(2, ready=False)], {1: "a"}, {}, None, [], id="a new one is being copied"),
        pytest.param([ONE], {2: "a"}, {}, 1, [2], id="what serves was removed"),
        pytest.param([], {2: "a"}, {}, None, [], id="everything was removed"),
    ],
)
def test_the_latest_version(
    listing: list[VersionSnapshot], loaded: dict[int, str], refused: dict[int, str], load: int | None, leave: list[int]
) -> None:
    step = next_step(listing, Latest(), loaded, refused)
    assert ((step.load and step.load.version), sorted(step.leave)) == (load, leave)


@pytest.mark.parametrize(
    ("policy", "listing", "loaded", "refused", "load", "leave"),
    [
        pytest.param(Latest(2), [ONE, TWO, THREE], {}, {}, 3, [], id="the highest of two first"),
        pytest.param(Latest(2), [ONE, TWO, THREE], {3: "a"}, {}, 2, [], id="then the other"),
        pytest.param(Latest(2), [ONE, TWO, THREE], {1: "a", 2: "a"}, {}, 3, [1], id="the lowest goes last"),
        pytest.param(Latest(2), [ONE, TWO, THREE], {1: "a", 2: "a"}, {3: "f"}, None, [], id="a refused one takes none"),
        pytest.param(All(), [ONE, TWO, THREE], {3: "a", 1: "a"}, {}, 2, [], id="all"),
        pytest.param(All(), [ONE, THREE], {1: "a", 2: "a", 3: "a"}, {}, None, [2], id="all that are there"),
        pytest.param(Specific(frozenset({1})), [ONE, TWO], {2: "a"}, {}, 1, [2], id="back to an older one"),
        pytest.param(Specific(frozenset({1})), [TWO], {2: "a"}, {}, None, [], id="one that is not there ends nothing"),
        pytest.param(Specific(frozenset({1})), [ONE, TWO], {2: "a"}, {1: "f"}, None, [], id="nor does a refused one"),
        pytest.param(Specific(frozenset({1, 3})), [ONE, TWO, THREE], {3: "a"}, {}, 1, [], id="several"),
    ],
)
def test_the_versions_of_a_policy(
    policy: Policy,
    listing: list[VersionSnapshot],
    loaded: dict[int, str],
    refused: dict[int, str],
    load: int | None,
    leave: list[int],
) -> None:
    step = next_step(listing, policy, loaded, refused)
    assert ((step.load and step.load.version), sorted(step.leave)) == (load, leave)
