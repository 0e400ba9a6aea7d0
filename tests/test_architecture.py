"""Imports of libraries, and what importing a part loads; imports among the parts are checked by import-linter."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "foldserve_contract": ROOT / "contract" / "foldserve_contract",
    "foldserve_engine": ROOT / "server" / "foldserve_engine",
    "foldserve_server": ROOT / "server" / "foldserve_server",
    "foldserve_exporter": ROOT / "exporter" / "foldserve_exporter",
    "foldserve": ROOT / "clients" / "foldserve",
}
FOREIGN = {
    "foldserve_contract": {"numpy", "google"},
    "foldserve_engine": {"numpy", "onnxruntime", "tensorflow"},
    "foldserve_server": {
        "numpy",
        "google",
        "grpc",
        "grpc_health",
        "grpc_reflection",
        "aiohttp",
        "opentelemetry",
        "prometheus_client",
    },
    "foldserve": {"numpy", "google", "grpc", "PIL", "rich"},
}
LAYERS = {
    "foldserve_exporter/folding/arithmetic.py": {"numpy"},
    "foldserve_server/context": {"foldserve_contract"},
    "foldserve_server/stats": {"foldserve_contract"},
    "foldserve_server/models": {"foldserve_contract"},
    "foldserve_server/predict": {"numpy", "foldserve_contract"},
}
ONE_PLACE_FOR_PRIVATE_KERAS = "foldserve_exporter/graph/keras_private.py"


def sources(package: str) -> list[Path]:
    return sorted(PACKAGES[package].rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules a file imports from elsewhere; relative imports stay inside by definition."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("package", FOREIGN)
def test_parts_need_only_the_libraries_they_name(package: str) -> None:
    allowed = FOREIGN[package] | PACKAGES.keys() | set(sys.stdlib_module_names)
    for path in sources(package):
        assert roots(path) <= allowed, f"{path.relative_to(ROOT)} imports {roots(path) - allowed}"


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_keep_their_distance(layer: str) -> None:
    package, _, rest = layer.partition("/")
    place = PACKAGES[package] / rest
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert files
    for path in files:
        assert roots(path) <= LAYERS[layer] | set(sys.stdlib_module_names), path


def test_private_parts_of_keras_are_read_in_one_place() -> None:
    for path in sources("foldserve_exporter"):
        if any(name.startswith("keras.src") for name in imports(path)):
            assert path.as_posix().endswith(ONE_PLACE_FOR_PRIVATE_KERAS), path


def test_relative_imports_do_not_leave_their_package() -> None:
    for package, folder in PACKAGES.items():
        for path in sources(package):
            depth = len(path.relative_to(folder).parts)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    assert node.level <= depth, f"{path}: from {'.' * node.level}{node.module}"


HEAVY = {"tensorflow", "keras", "onnxruntime", "onnx", "tf2onnx"}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import foldserve", HEAVY | {"PIL", "rich"}),
        ("import foldserve_contract.bundle, foldserve_contract.protos", HEAVY | {"grpc"}),
        ("import foldserve_server.app", HEAVY),
        (
            "import foldserve_server.frontends.supervisor.serve_with_front_ends, foldserve_server.app",
            HEAVY | {"grpc", "aiohttp"},
        ),
        ("import foldserve_server.frontends.front_end.front_end, foldserve_server.rpc.server", HEAVY),
        ("import foldserve_engine.worker.engine_process_main", HEAVY | {"grpc"}),
        ("import foldserve_exporter, foldserve_exporter.cli", HEAVY | {"grpc"}),
        ("import foldserve_exporter.verify.worker", HEAVY | {"grpc"}),
    ],
)
def test_importing_brings_nothing_heavy_with_it(statement: str, absent: set[str]) -> None:
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "foldserve_contract" in loaded or "foldserve_exporter" in loaded
    assert not absent & set(loaded)


def test_the_functions_of_the_exporter_are_never_hidden_by_a_module_of_the_same_name() -> None:
    code = "import foldserve_exporter.pipeline; from foldserve_exporter import export_model, fold; fold.__code__"
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
