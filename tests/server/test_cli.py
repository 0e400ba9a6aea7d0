"""An error that nobody foresaw ends the server with a line and a file, not with a trace in the log."""

from pathlib import Path

import pytest

from foldserve_server import cli


def test_an_error_that_nobody_foresaw_has_a_line_a_file_and_a_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> None:
        raise ZeroDivisionError("by rows")

    monkeypatch.setattr(cli, "_check_extra", failing)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cli.main([str(tmp_path)]) == 70
    page = capsys.readouterr().err
    (file,) = tmp_path.glob("serve-model-*.trace.txt")
    assert page.startswith("serve-model: unforeseen ZeroDivisionError in the step 'serve'") and str(file) in page
    assert "Traceback" not in page and "by rows" in page
