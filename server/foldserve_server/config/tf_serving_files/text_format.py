"""Reads a message in text format."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format

from ...errors import CannotStart


def read(flag: str, path: Path, kind: Any) -> Any:
    """The message that a file holds.

    Args:
        flag: The flag that names the file, for the error's words.
        path: The file.
        kind: The class of the message.

    Raises:
        CannotStart: The file cannot be read, or is not such a message.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), kind())
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"--{flag}: {path} cannot be read: {error}") from error
    except text_format.ParseError as error:
        raise CannotStart(f"--{flag}: {path} is not a {kind.DESCRIPTOR.full_name} in text format: {error}") from error
