"""Shared parts of the exporter's commands: setting up the runtime, and turning errors into exit codes."""

import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import FrameType

from foldserve_contract.errors import FoldserveError

from .errors import ExportError
from .runtime import import_quietly, pin_runtime, reset_defaults

USAGE_ERROR = 2
INTERRUPTED, TERMINATED = 130, 143
_NEEDS = ("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime", "PIL", "rich")


def run_command(program: str, body: Callable[[], int], otherwise: str) -> int:
    """Runs a command's body in an initialised runtime; returns the exit code.

    Args:
        program: The command's name, the prefix of every error message.
        body: The command itself; returns the exit code.
        otherwise: The result that is missing, printed where the disk fails and where the command is interrupted.
    """
    try:
        with _raising_on_sigterm():
            return _run(program, body, otherwise)
    except _Terminated:
        print_error(program, f"terminated; {otherwise}")
        return TERMINATED
    except KeyboardInterrupt:
        print_error(program, f"interrupted; {otherwise}")
        return INTERRUPTED


def print_error(program: str, message: str) -> None:
    """Prints an error message to standard error."""
    print(f"{program}: {message}", file=sys.stderr)


class _Terminated(BaseException):
    """Raised on SIGTERM."""


@contextmanager
def _raising_on_sigterm() -> Iterator[None]:
    """Makes SIGTERM raise, as Ctrl-C does, so that `finally` blocks run and a cancelled job leaves no files behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(program: str, body: Callable[[], int], otherwise: str) -> int:
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        print_error(program, f"it needs {', '.join(missing)}: pip install 'foldserve[exporter]'")
        return USAGE_ERROR
    pin_runtime()
    warnings.filterwarnings("ignore", module=r"(tf_keras|keras|tensorflow|tf2onnx|onnx)\b")
    import_quietly()
    reset_defaults()
    from .load.modules import search_working_directory

    search_working_directory()
    try:
        return body()
    except FoldserveError as error:
        print_error(program, str(error))
        return error.exit_code if isinstance(error, ExportError) else USAGE_ERROR
    except OSError as error:
        print_error(program, f"{error}; {otherwise}")
        return 1
