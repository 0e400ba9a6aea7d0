"""The matrix of Pythons and dependencies that the test suite is run on; arguments after `--` go to pytest.

nox -s tests-3.12 -- tests/contract
"""

import nox

PYTHONS = ("3.11", "3.12", "3.13")
REPORTED = ("keras", "tensorflow", "numpy", "onnx", "onnxruntime", "grpcio", "protobuf", "aiohttp", "pytest")
VERSIONS = f"""
import platform
from importlib.metadata import version
print("Python", platform.python_version(), *(f"{{name}} {{version(name)}}" for name in {REPORTED}))
"""

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = True


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Test suite with the pinned dependencies."""
    run_suite(session, "--constraint", "constraints.txt")


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Test suite with the lowest dependencies that pyproject.toml allows, on the lowest Python."""
    run_suite(session, "--constraint", "constraints-lowest.txt")


@nox.session(python=PYTHONS[-1])
def highest(session: nox.Session) -> None:
    """Test suite with the newest dependencies that pyproject.toml allows, on the newest Python."""
    run_suite(session, "--upgrade", "--upgrade-strategy", "eager")


def run_suite(session: nox.Session, *how: str) -> None:
    """Installs the project with pip's options `how`, prints the main versions and runs pytest."""
    session.install(*how, "--editable", ".[dev]")
    session.run("python", "-c", VERSIONS)
    session.run("python", "-m", "pytest", "-q", *session.posargs)
