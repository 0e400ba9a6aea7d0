"""Shared parts of the exporter's commands: setting up the runtime, and turning errors into exit codes."""

import errno
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import FrameType

from foldserve_contract.errors import FoldserveError
from foldserve_contract.standard_output import CannotPrint
from foldserve_contract.unforeseen import UNFORESEEN, describe_unforeseen, is_out_of_memory

from .errors import DiskFailed, ExportError
from .progress import CurrentStep
from .runtime import import_quietly, pin_runtime, reset_defaults

DISK_FAILED = 1
USAGE_ERROR = 2
INTERRUPTED, TERMINATED = 130, 143
_NEEDS = ("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime", "PIL", "rich")


def run_command(program: str, body: Callable[[], int], otherwise: str, step: CurrentStep | None = None) -> int:
    """Runs a command's body in an initialised runtime; returns the exit code.

    Args:
        program: The command's name, the prefix of every error message.
        body: The command itself; returns the exit code.
        otherwise: The result that is missing, printed where the disk fails and where the command is interrupted.
        step: The step that the body is in, for the message of an error that nobody foresaw.
    """
    step = step or CurrentStep()
    try:
        with _raising_on_sigterm():
            return _run(program, body, otherwise)
    except _Terminated:
        print_error(program, f"terminated; {otherwise}")
        return TERMINATED
    except KeyboardInterrupt:
        print_error(program, f"interrupted; {otherwise}")
        return INTERRUPTED
    except (Exception, SystemExit) as error:  # a model's own code may end the process
        print_error(program, describe_unforeseen(program, step.name, error, otherwise))
        return UNFORESEEN


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
    try:
        _set_up()
        return body()
    except FoldserveError as error:
        if is_out_of_memory(error):  # which is not the fault that the message names
            raise
        print_error(program, str(error))
        return error.exit_code if isinstance(error, ExportError) else USAGE_ERROR
    except CannotPrint as error:
        print_error(program, str(error))
        return DISK_FAILED
    except OSError as error:
        if not _is_of_the_disk(error):
            raise
        print_error(program, f"{error}; {otherwise}")
        return DISK_FAILED


def _set_up() -> None:
    pin_runtime()
    warnings.filterwarnings("ignore", module=r"(tf_keras|keras|tensorflow|tf2onnx|onnx)\b")
    import_quietly()
    reset_defaults()
    from .load.modules import search_working_directory

    search_working_directory()


_NOT_OF_THE_DISK = (errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ECHILD, errno.EPIPE)
_FULL = re.compile(
    r"No space left|quota exceeded|Read-only file system|Input/output error|errno = (5|27|28|30|122)\b", re.I
)


def _is_of_the_disk(error: OSError) -> bool:
    """True if files could not be read or written; libraries raise `OSError` for much else."""
    if isinstance(error, DiskFailed) or _FULL.search(str(error)):
        return True
    of_a_network = isinstance(error, ConnectionError | TimeoutError)
    return error.errno is not None and error.errno not in _NOT_OF_THE_DISK and not of_a_network
