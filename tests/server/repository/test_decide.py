from pathlib import Path

import pytest

from foldserve_server.repository.decide import Loaded, candidate
from foldserve_server.repository.sighting import Sighting


def seen(version: int, digest: str = "a", *, ready: bool = True, fingerprint: str = "f") -> Sighting:
    return Sighting(version, Path(str(version)), digest, fingerprint, ready)


ONE, TWO, THREE = seen(1), seen(2), seen(3)


@pytest.mark.parametrize(
    ("listing", "loaded", "refused", "expected"),
    [
        pytest.param([], None, {}, None, id="an empty repository"),
        pytest.param([ONE, TWO], None, {}, 2, id="the highest first"),
        pytest.param([ONE, TWO], Loaded(1, "a"), {}, 2, id="a higher one than serves"),
        pytest.param([ONE, TWO], Loaded(2, "a"), {}, None, id="nothing better"),
        pytest.param([ONE, TWO], None, {2: "f"}, 1, id="the next where the highest was refused"),
        pytest.param([ONE, TWO, THREE], Loaded(2, "a"), {3: "f"}, None, id="a refused one is left alone"),
        pytest.param([ONE, TWO, THREE], Loaded(2, "a"), {3: "before"}, 3, id="a refused one that changed"),
        pytest.param([ONE, seen(2, "b")], Loaded(2, "a"), {}, 2, id="what serves was replaced in place"),
        pytest.param([ONE, seen(2, "b")], Loaded(2, "a"), {2: "f"}, None, id="its replacement was refused"),
        pytest.param([ONE, seen(2, "b", ready=False)], Loaded(2, "a"), {}, None, id="its replacement is being copied"),
        pytest.param([ONE, seen(2, ready=False)], Loaded(1, "a"), {}, None, id="a new one is being copied"),
        pytest.param([ONE], Loaded(2, "a"), {}, 1, id="what serves was removed"),
        pytest.param([], Loaded(2, "a"), {}, None, id="everything was removed"),
    ],
)
def test_the_next_version(
    listing: list[Sighting], loaded: Loaded | None, refused: dict[int, str], expected: int | None
) -> None:
    chosen = candidate(listing, loaded, refused)
    assert (chosen and chosen.version) == expected
