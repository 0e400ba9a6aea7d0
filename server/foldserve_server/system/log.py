"""The server's log: one line for each event, as text or as JSON."""

import json
import logging
import time

from ..context.call import current_call

FIELDS = ("model", "version", "cause")
TEXT = "%(asctime)s %(levelname)-7s %(message)s"


def configure(style: str, level: str) -> None:
    """Sets up logging to stderr; `style` is `text` or `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter(TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class TextFormatter(logging.Formatter):
    """Text lines, with the request's id where a call is being answered."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line without the exception."""
        call = current_call()
        line = super().formatMessage(record)
        return line if call is None else f"{line} [request {call.id}]"


class JsonFormatter(logging.Formatter):
    """JSON object per line: time (UTC, ISO 8601), level, logger, message, and further fields where they apply.

    `method` and `request` where a call is being answered; `model`, `version` and `cause` where the line is about a
    version; the `exception` if there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if (call := current_call()) is not None:
            entry |= {"method": call.method, "request": call.id}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)
