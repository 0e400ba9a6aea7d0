"""Who imports whom inside the server: rpc, http -> inference -> core <- repository; few reach the engines."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import foldserve_server

ROOT = Path(foldserve_server.__file__).parent
FORBIDDEN = {
    "core": {
        "fronts",
        "aiohttp",
        "grpc",
        "google",
        "foldserve_engine",
        "rpc",
        "repository",
        "engines",
        "asyncio.subprocess",
    },
    "repository": {"fronts", "grpc", "google", "foldserve_engine", "rpc", "engines"},
    "inference": {"fronts", "aiohttp", "grpc", "foldserve_engine", "engines", "repository", "rpc", "http"},
    "rpc": {"fronts", "foldserve_engine", "engines", "repository", "http"},
    "http": {"foldserve_engine", "engines", "repository", "grpc", "google", "rpc", "fronts"},
    "engines": {"grpc", "google", "aiohttp", "rpc", "http", "repository", "fronts"},
    "fronts": {"grpc", "google", "aiohttp", "rpc", "http", "repository", "onnxruntime", "tensorflow"},
}


def imported(path: Path) -> Iterator[str]:
    """The first name of every absolute import, and the part of every relative one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("part", FORBIDDEN)
def test_a_part_imports_only_what_lies_below_it(part: str) -> None:
    files = sorted((ROOT / part).rglob("*.py"))
    assert files
    crossings = {(file.name, name) for file in files for name in imported(file) if name in FORBIDDEN[part]}
    assert not crossings


def test_only_the_launcher_and_what_it_starts_know_engine_processes() -> None:
    users = {file.name for file in ROOT.glob("*.py") if {"engines", "foldserve_engine"} & set(imported(file))}
    assert users == {"launcher.py", "serving.py"}
