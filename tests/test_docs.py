"""The pages say what is there: every flag, every link, every piece of Python."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")] + sorted(
    ROOT.glob("docs/**/*.md")
)
COMMANDS = {
    "export-model": "foldserve_exporter.cli",
    "diagnose-model": "foldserve_exporter.diagnosis.cli",
    "serve-model": "foldserve_server.cli",
    "predict-model": "foldserve.predict.cli",
}
OTHERS = {
    *("--strict", "--h1"),  # mypy's and h2load's
    *("--dist", "--pid"),  # pytest-xdist's and py-spy's
    *("--service-kind", "--shape", "--input-data", "--async", "--streaming", "--shared-memory"),  # perf_analyzer's
    *("--collect-metrics", "--trace-level"),  # and these
    *("--weights", "--images", "--epochs", "--side", "--plot"),  # those of the experiments
    *("--records", "--table"),  # of benchmarks/nodes.py
    "--tensorflow-intra-op-parallelism",  # accepted with a warning
    "--model-control-mode",  # Triton's
}
FLAG = re.compile(r"(?<![\w-])--[A-Za-z][\w-]*")


@cache
def flags_of(command: str) -> frozenset[str]:
    program = f"import sys; from {COMMANDS[command]} import main; sys.exit(main(['--help']))"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return frozenset(map(spelt, FLAG.findall(output.stdout)))


def spelt(flag: str) -> str:
    """As `serve-model` reads it: `-` and `_` are the same."""
    return flag.replace("_", "-")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_is_told_of_in_the_docs(command: str) -> None:
    output = {spelt(flag) for page in PAGES if page.parent != ROOT for flag in FLAG.findall(page.read_text())}
    assert len(flags_of(command)) > 5
    assert not flags_of(command) - output - {"--help", "--version", "--output"}  # -o is told of


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_flag_in_the_docs_is_there(page: Path) -> None:
    expected = frozenset(OTHERS).union(*map(flags_of, COMMANDS))
    assert not {flag for flag in FLAG.findall(page.read_text()) if spelt(flag) not in expected}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        file = page if not name else page.parent / name
        assert file.exists(), target
        assert not heading or heading in headings(file), target


def headings(page: Path) -> set[str]:
    """As GitHub makes anchors of them."""
    results = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in results}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_in_the_docs_is_python(page: Path) -> None:
    for code in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        compile(code, str(page), "exec")
