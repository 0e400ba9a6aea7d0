"""Commands end with one line of message and leave nothing behind, also when they are interrupted."""

import signal
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from foldserve_contract.options import flags_of
from foldserve_contract.publish import stage
from foldserve_exporter.cli import main
from foldserve_exporter.commands import run_command
from foldserve_exporter.options import Choices, ExportOptions

SIGNALS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Restores the default handler of SIGINT, as in a terminal: shells start background processes with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_whoever_ends_an_export_finds_nothing_half_written(
    number: signal.Signals, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)

    def ended() -> int:
        with stage(tmp_path, "flowers") as staging:
            (staging.path / "model.onnx").write_text("half")
            signal.raise_signal(number)
        return 0

    code, word = SIGNALS[number]
    assert run_command("export-model", ended, "nothing was published") == code
    assert capfd.readouterr().err == f"export-model: {word}; nothing was published\n"
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(
    "wrong",
    [["--seed", "-1"], ["--version", "-1"], ["--version", str(2**63)], ["--golden", "0"], ["--max-batch-size", "0"]],
    ids=" ".join,
)
def test_numbers_that_cannot_be_used_end_with_2_and_are_told(
    wrong: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["model.keras", "-o", str(tmp_path), "--name", "x", *wrong]) == 2
    assert f"received {wrong[1]}" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_keyword_arguments_of_an_export_are_the_fields_of_its_options() -> None:
    hints = typing.get_type_hints(ExportOptions)
    chosen = {name: hint for name, hint in hints.items() if name not in ("output", "name")}
    assert typing.get_type_hints(Choices) == chosen
    assert flags_of(ExportOptions).keys() == chosen.keys(), "and each has a flag"
