"""The lowest dependencies that the matrix installs are those that pyproject.toml allows."""

import re
import tomllib
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parent.parent


def direct_dependencies() -> dict[str, str]:
    """Lower bounds of the requirements in pyproject.toml, by package; the project's own extras aside."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = chain(project["dependencies"], *project["optional-dependencies"].values())
    return dict(re.split(">=", line) for line in requirements if not line.startswith("foldserve["))


def constraints(file: str) -> dict[str, str]:
    return dict(line.split("==") for line in (ROOT / file).read_text().splitlines())


def test_the_lowest_constraints_are_the_lower_bounds_of_the_project() -> None:
    assert constraints("constraints-lowest.txt") == direct_dependencies()


def test_every_direct_dependency_is_pinned() -> None:
    pinned = {re.sub("[-_.]+", "-", name).lower() for name in constraints("constraints.txt")}
    assert set(direct_dependencies()) - {"onnxruntime-gpu"} <= pinned
