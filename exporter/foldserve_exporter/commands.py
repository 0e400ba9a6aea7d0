"""What the exporter's commands have in common: getting ready, and errors into exit codes."""

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
    """Runs a command's body in a runtime that is ready for it; gives the exit code.

    Args:
        program: The command's name, before every complaint.
        body: What to do.
        otherwise: What was not done, told where the disk fails and where somebody ends the command.
    """
    try:
        with _heeded():
            return _run(program, body, otherwise)
    except _Terminated:
        complain(program, f"terminated; {otherwise}")
        return TERMINATED
    except KeyboardInterrupt:
        complain(program, f"interrupted; {otherwise}")
        return INTERRUPTED


def complain(program: str, message: str) -> None:
    """To standard error."""
    print(f"{program}: {message}", file=sys.stderr)


class _Terminated(BaseException):
    """SIGTERM came."""


@contextmanager
def _heeded() -> Iterator[None]:
    """SIGTERM ends what is under way as Ctrl-C does, so that it tidies up: a job that is cancelled leaves nothing."""
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
        complain(program, f"it needs {', '.join(missing)}: pip install 'foldserve[exporter]'")
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
        complain(program, str(error))
        return error.exit_code if isinstance(error, ExportError) else USAGE_ERROR
    except OSError as error:
        complain(program, f"{error}; {otherwise}")
        return 1
