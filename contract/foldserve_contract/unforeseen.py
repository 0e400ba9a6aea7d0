"""Errors that nobody foresaw: one line for the user, and the whole trace in a file to send."""

import errno
import os
import platform
import sys
import tempfile
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

UNFORESEEN = 70
"""The exit code of every command after such an error: `EX_SOFTWARE` of sysexits.h."""

_PACKAGES = ("foldserve", "numpy", "keras", "tensorflow", "tf-keras", "tf2onnx", "onnx", "onnxruntime", "grpcio")
_OUT_OF_MEMORY = ("ResourceExhaustedError", "XlaRuntimeError: RESOURCE_EXHAUSTED", "std::bad_alloc")
_LONGEST = 300


def describe_unforeseen(program: str, step: str, error: BaseException, otherwise: str) -> str:
    """Writes the trace of an error to a file of its own; returns one line for the user.

    The file lies in the directory for temporary files (TMPDIR), and nobody else may read it.

    Args:
        program: The command's name.
        step: The step in which it happened.
        error: The error, with its traceback.
        otherwise: The result that is missing; empty where none is.
    """
    missing = f"; {otherwise}" if otherwise else ""
    line = f"{_kind(error)} in the step {step!r} ({_place(error)}): {_in_one_line(error)}{missing}. {_advice(error)}"
    try:
        path = _write_trace(program, step, error)
    except OSError as failure:
        return f"{line} the line above (no file for the whole trace could be made: {failure})"
    return f"{line} {path} (the trace, versions and paths; read it first) and, if you may, the model"


def is_out_of_memory(error: BaseException) -> bool:
    """True if an error, or what caused it, says that memory ran out."""
    return any(
        isinstance(link, MemoryError)
        or (isinstance(link, OSError) and link.errno == errno.ENOMEM)
        or any(sign in f"{type(link).__name__}: {link}" for sign in _OUT_OF_MEMORY)
        for link in _chain(error)
    )


def _kind(error: BaseException) -> str:
    return f"unforeseen {type(error).__name__}"


def _advice(error: BaseException) -> str:
    if is_out_of_memory(error):
        return "Memory ran out: use a machine with more, or fewer samples. If there was enough, send"
    if isinstance(error, RecursionError):
        return "Something is nested more deeply than Python's stack allows: make it flatter. To have it mended, send"
    return "To have it mended, send"


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    return chain


def _place(error: BaseException) -> str:
    """File and line of the innermost frame in this project, or of the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "foldserve" in Path(frame.filename).parent.as_posix()]
    frame = next(iter((own or frames)[-1:]), None)
    return "nowhere" if frame is None else f"{Path(frame.filename).name}:{frame.lineno}"


def _in_one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or "it has no message"
    text = text.removesuffix(".")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _write_trace(program: str, step: str, error: BaseException) -> Path:
    handle, name = tempfile.mkstemp(prefix=f"{program}-", suffix=".trace.txt")  # for its owner alone
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(f"{program}: {step}\n{sys.argv}\n{platform.platform()}, Python {platform.python_version()}\n")
        stream.writelines(f"{package} {_version(package)}\n" for package in _PACKAGES)
        stream.write("\n")
        stream.writelines(traceback.format_exception(error))
    return Path(name)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is not installed"
