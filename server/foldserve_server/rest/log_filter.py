"""Log filter for connections that do not send valid HTTP: one line each, where the library logs a traceback."""

import logging

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError


def filtered_log() -> logging.Logger:
    """The logger for the library, with the filter."""
    log = logging.getLogger(f"{__package__}.connections")
    log.addFilter(_shortened)
    return log


def _shortened(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | RequestPayloadError):
        record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        record.msg, record.args = f"{record.getMessage()}: {' '.join(str(error).split())[:200]}", ()
        record.exc_info = record.exc_text = None
    return True
