"""Commands end with one line of message and leave nothing behind, also when they are interrupted."""

import errno
import signal
import subprocess
import sys
import tempfile
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from foldserve_contract.options import flags_of
from foldserve_contract.publish import stage
from foldserve_contract.unforeseen import UNFORESEEN
from foldserve_exporter.cli import main
from foldserve_exporter.commands import run_command
from foldserve_exporter.errors import DiskFailed, Refused
from foldserve_exporter.options import Choices, ExportOptions
from foldserve_exporter.progress import CurrentStep
from foldserve_exporter.verify.job import WorkerKind
from foldserve_exporter.verify.worker_pool import VerificationWorker, WorkerFailed

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


def ended(body: Callable[[], int], step: CurrentStep | None = None) -> int:
    return run_command("export-model", body, "nothing was published", step)


@pytest.fixture
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which traces are written."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "error",
    [ValueError("shapes\ndiffer: (32, 0, 8)"), KeyError("x"), RecursionError(), SystemExit("bye"), AssertionError()],
    ids=repr,
)
def test_an_error_that_nobody_foresaw_is_one_line_and_a_file(
    error: BaseException, traces: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    step = CurrentStep()
    step.step("fold")

    def failing() -> int:
        raise error

    assert ended(failing, step) == UNFORESEEN
    (line,) = capfd.readouterr().err.splitlines()
    (file,) = traces.iterdir()
    for part in (f"unforeseen {type(error).__name__} in the step 'fold'", "nothing was published", str(file), "send"):
        assert part in line
    assert "Traceback" not in line
    assert "Traceback" in (text := file.read_text()) and "in failing" in text and "tensorflow 2" in text
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_error_whose_trace_cannot_be_written_is_a_line_all_the_same(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def failing() -> int:
            patch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
            raise ValueError("shapes differ")

        assert ended(failing) == UNFORESEEN
    (line,) = capfd.readouterr().err.splitlines()
    assert "shapes differ" in line and "no file for the whole trace could be made" in line


def test_a_missing_directory_for_temporary_files_is_the_disk(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
        assert ended(lambda: 0) == 1
    assert "No such file or directory" in capfd.readouterr().err


def out_of_memory() -> int:
    try:
        raise MemoryError
    except MemoryError as error:
        raise Refused("dense: it cannot be called") from error


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory")], ids=repr)
def test_memory_that_ran_out_is_named(error: BaseException, traces: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def failing() -> int:
        raise error

    for body in (failing, out_of_memory):
        assert ended(body) == UNFORESEEN
        assert "Memory ran out" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 1),
        (PermissionError(errno.EACCES, "Permission denied", "models"), 1),
        (DiskFailed("the artifacts cannot be written"), 1),
        (OSError("Can't write data (file write failed: errno = 28, error message = 'No space left on device')"), 1),
        (OSError("could not get source code"), UNFORESEEN),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), UNFORESEEN),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), UNFORESEEN),
    ],
    ids=repr,
)
def test_exit_code_1_means_the_disk(error: OSError, code: int, traces: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def failing() -> int:
        raise error

    assert ended(failing) == code
    assert "nothing was published" in capfd.readouterr().err


def test_a_result_that_cannot_be_printed_is_no_failure_of_the_command_itself(tmp_path: Path) -> None:
    code = """
import sys
from foldserve_contract.standard_output import printing
from foldserve_exporter.commands import run_command

def body():
    with printing():
        print("a report")
    return 0

sys.exit(run_command("export-model", body, "nothing was published"))
"""
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "could not be: " in done.stderr and "published" not in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "hint"), [(signal.SIGKILL, "memory runs out"), (signal.SIGSEGV, "SIGSEGV")])
def test_a_process_that_a_signal_ends_is_named_by_it(number: signal.Signals, hint: str, tmp_path: Path) -> None:
    worker = VerificationWorker(WorkerKind.ONNXRUNTIME)
    worker._process.send_signal(number)
    reason = worker.wait()
    worker.close()
    assert reason is not None and "onnxruntime process was ended by SIG" in reason and hint in reason


def test_a_process_that_fails_by_itself_keeps_its_output_for_the_trace(tmp_path: Path) -> None:
    worker = VerificationWorker(WorkerKind.ONNXRUNTIME)
    worker.send_job(tmp_path / "missing")
    with pytest.raises(WorkerFailed, match=r"process ended with code 1: FileNotFoundError: .*job\.json") as caught:
        worker.wait()
    worker.close()
    assert "Traceback" in caught.value.__notes__[0] and "\n" not in str(caught.value)
