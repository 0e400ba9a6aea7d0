"""What `predict-model` was asked for."""

import re
from dataclasses import dataclass
from pathlib import Path

from ..transport.tls import TlsFiles
from .errors import UsageError
from .image_conversion import Imaging

_TARGET = re.compile(
    r"(?P<server>(?:grpcs?://)?(?:\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+):[0-9]{1,5})/(?P<model>[^\s/]+)(?:/(?P<version>[^\s/]+))?"
)


@dataclass(frozen=True, slots=True)
class ModelTarget:
    """A model on a server.

    Attributes:
        server: As `Client` takes it.
        model: The model's name.
        version: A number or a label; None for the one the server takes.
    """

    server: str
    model: str
    version: int | str | None


@dataclass(frozen=True, slots=True)
class RunOptions:
    """One run.

    Attributes:
        target: What predicts.
        inputs: `.npy`, `.npz`, images and folders of them, in this order.
        out: `.npz`, or `.npy` for a single output.
        signature: The entry point.
        outputs: Names of the outputs wanted; empty for all.
        batch: Rows in one request.
        in_flight: Requests on their way at once.
        channels: Connections.
        timeout: Seconds for one request, retries and all.
        save_every: Seconds of work that a killed run may lose.
        imaging: How images become arrays.
        overwrite: Whether `out` may be there already.
        restart: Whether an unfinished run is thrown away.
        tls: Encryption by files.
        token: Bearer token.
    """

    target: ModelTarget
    inputs: tuple[Path, ...]
    out: Path
    signature: str
    outputs: tuple[str, ...]
    batch: int
    in_flight: int
    channels: int
    timeout: float
    save_every: float
    imaging: Imaging
    overwrite: bool
    restart: bool
    tls: TlsFiles | None
    token: str | None


def parse_target(word: str) -> ModelTarget:
    """Reads `HOST:PORT/MODEL[/VERSION]`, also with `grpc://` or `grpcs://` before it.

    Raises:
        UsageError: It is something else.
    """
    match = _TARGET.fullmatch(word)
    if match is None:
        raise UsageError(
            f"expected TARGET as HOST:PORT/MODEL or HOST:PORT/MODEL/VERSION, such as localhost:8500/flowers/3,"
            f" received {word!r}"
        )
    version = match["version"]
    return ModelTarget(match["server"], match["model"], int(version) if version and version.isdecimal() else version)
