"""A model on a server, as the command line names it."""

import re
from dataclasses import dataclass

from .errors import UsageError

_TARGET = re.compile(
    r"(?P<server>(?:grpcs?://)?(?:\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+):[0-9]{1,5})/(?P<model>[^\s/]+)(?:/(?P<version>[^\s/]+))?"
)


@dataclass(frozen=True, slots=True)
class ModelTarget:
    """A model on a server.

    Attributes:
        server: The server's address as `Client` takes it.
        model: The model's name.
        version: A number or a label; None for the server's default.
    """

    server: str
    model: str
    version: int | str | None


def parse_model_target(text: str) -> ModelTarget:
    """Reads `HOST:PORT/MODEL[/VERSION]`, also with `grpc://` or `grpcs://` before it.

    Raises:
        UsageError: The text has another form.
    """
    match = _TARGET.fullmatch(text)
    if match is None:
        raise UsageError(
            f"expected TARGET as HOST:PORT/MODEL or HOST:PORT/MODEL/VERSION, such as localhost:8500/flowers/3,"
            f" received {text!r}"
        )
    version = match["version"]
    return ModelTarget(match["server"], match["model"], int(version) if version and version.isdecimal() else version)
