"""Output that a file takes is not folded; a terminal's is."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest
from rich.console import Console
from rich.table import Table

from foldserve_exporter.cli import main
from foldserve_exporter.console import unwrapped

from .models import randomise

REASON = "because " * 40


def draw(console: Console) -> None:
    table = Table("layer", "reason", box=None)
    for layer in ("a", "a_much_longer_name"):
        table.add_row(layer, REASON if layer == "a" else "short")
    console.print("w" * 300, style="bold red")
    console.print(table)


def test_lines_are_whole_and_end_without_blanks() -> None:
    lines = unwrapped(draw).splitlines()
    assert lines[0] == "w" * 300
    assert REASON.rstrip() in lines[2]
    assert [line for line in lines if line != line.rstrip()] == []
    assert "\x1b" not in "".join(lines)


def test_a_pipe_gets_whole_lines() -> None:
    code = "from tests.exporter.test_console import draw; from foldserve_exporter.console import show; show(draw)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == unwrapped(draw)


def test_the_report_of_an_export_is_not_folded_at_80_columns(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    x = image = keras.Input((6, 5, 2), name="image")
    x = keras.layers.BatchNormalization(name="normalisation_after_red")(
        keras.layers.Conv2D(3, 2, name="conv_with_a_long_name")(x)
    )
    model = randomise(keras.Model(image, keras.layers.GlobalAveragePooling2D(name="features")(x)))
    model.save(tmp_path / "m.keras")
    assert main([str(tmp_path / "m.keras"), "-o", str(tmp_path / "models"), "--name", "m", "--golden", "2"]) == 0
    lines = capfd.readouterr().out.splitlines()
    [row] = [line.split() for line in lines if line.startswith("normalisation_after_red")]
    assert row == ["normalisation_after_red", "0", "backward", "folded", "into", "conv_with_a_long_name"]
    assert max(map(len, lines)) > 80
