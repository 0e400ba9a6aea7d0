"""Converters from arguments to values; argparse makes a ValueError a message that names the flag."""

import argparse
import re
from pathlib import Path

_UNITS = {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_LARGEST_MESSAGE = (1 << 31) - 1
_ENGINES = ("auto", "onnx", "tensorflow")
_NUMBERS = ("_bytes", "_length", "_ms", "_pings", "_size", "_streams")  # ends of gRPC's names of numbers
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


def boolean(word: str) -> bool:
    """`true` or `false`."""
    if word.lower() in _TRUE + _FALSE:
        return word.lower() in _TRUE
    raise argparse.ArgumentTypeError(f"expected true or false, received {word!r}")


def message_size(word: str) -> int:
    """A number of bytes that one message of gRPC can hold: less than 2 GiB; see `size`."""
    number = size(word)
    if number > _LARGEST_MESSAGE:
        raise argparse.ArgumentTypeError(f"expected at most {_LARGEST_MESSAGE:,} bytes, received {word!r}")
    return number


def size(word: str) -> int:
    """A number of bytes, such as `1048576` or `256MiB`."""
    for unit, factor in _UNITS.items():
        if word.lower().endswith(unit):
            return positive(word[: -len(unit)]) * factor
    return positive(word)


def positive(word: str) -> int:
    """A whole number above 0."""
    return _whole(word, 1)


def count(word: str) -> int:
    """A whole number, 0 included."""
    return _whole(word, 0)


def port(word: str) -> int:
    """A port; 0 stands for any that is free."""
    number = _whole(word, 0)
    if number > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, received {number}")
    return number


def rest_port(word: str) -> int:
    """A port; 0 stands for none, -1 for any that is free."""
    return -1 if word == "-1" else port(word)


def seconds(word: str) -> float:
    """Seconds, 0 included."""
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, 0 or more, received {word!r}")
    return value


def path(word: str) -> Path:
    """A path, made absolute."""
    return Path(word).absolute()


def paths(word: str) -> tuple[Path, ...]:
    """Folders, such as `/models,/more`."""
    return tuple(Path(part).absolute() for part in word.split(",") if part)


def engine(word: str) -> tuple[str, str]:
    """A model's name, empty for every model, and its engine: `onnx`, `digits=tensorflow`."""
    name, _, kind = word.rpartition("=")
    if kind not in _ENGINES:
        raise argparse.ArgumentTypeError(f"expected {', '.join(_ENGINES)}, or NAME=onnx, received {word!r}")
    return name, kind


def share(word: str) -> float:
    """A share above 0 and up to 1, such as `0.05`."""
    try:
        value = float(word)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected a share above 0 and up to 1, received {word!r}")
    return value


def host(word: str) -> str:
    """A host name or an address to listen on; an IPv6 address may stand in brackets, as in a URL."""
    name = word[1:-1] if word.startswith("[") and word.endswith("]") else word
    if not name:
        raise argparse.ArgumentTypeError("expected a host name or an address of this machine, such as 127.0.0.1")
    return name


def channel_arguments(word: str) -> tuple[tuple[str, int | str], ...]:
    """Channel arguments of gRPC, such as `grpc.max_connection_age_ms=2000,grpc.optimization_target=latency`."""
    pairs = [tuple(text.strip() for text in part.split("=", 1)) for part in word.split(",") if part.strip()]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise argparse.ArgumentTypeError(f"expected name=value, with commas between them, received {word!r}")
    names = [pair[0] for pair in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise argparse.ArgumentTypeError(f"{twice} is given twice")
    return tuple((name, _channel_value(name, value)) for name, value in pairs)


def _channel_value(name: str, value: str) -> int | str:
    """The value as gRPC takes it; a text for a number, or a number of more than 32 bits, would have no effect."""
    if not re.fullmatch(r"-?[0-9]{1,20}", value):
        if name.endswith(_NUMBERS):
            raise argparse.ArgumentTypeError(f"{name} takes a whole number, received {value!r}")
        return value
    least = -1 if name.endswith("_length") else 0
    if not least <= int(value) < 1 << 31:
        raise argparse.ArgumentTypeError(
            f"{name} takes a whole number from {least} to {(1 << 31) - 1}, received {value}"
        )
    return int(value)


def sizes(word: str) -> tuple[int, ...]:
    """Batch sizes, ascending, such as `1,8,32`."""
    numbers = tuple(positive(part.strip()) for part in word.split(","))
    if list(numbers) != sorted(set(numbers)):
        raise argparse.ArgumentTypeError(f"expected sizes that rise, such as 1,8,32, received {word!r}")
    return numbers


def _whole(word: str, least: int) -> int:
    if not word.isascii() or not word.isdigit() or int(word) < least:
        raise argparse.ArgumentTypeError(f"expected a whole number, {least} or more, received {word!r}")
    return int(word)
