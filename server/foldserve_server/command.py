"""From the words of the command line to the server's options."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.errors import UnsafePath
from foldserve_contract.repository import check_name

from .core.limits import Limits
from .errors import CannotStart
from .flags import NOT_YET, WITHOUT_MEANING, parser
from .options import EngineOptions, Options
from .repository.source import Source

_REMOTE = ("gs://", "s3://", "hdfs://", "http://", "https://")
_DEFAULT_NAME = "default"  # TensorFlow Serving's, where --model_base_path comes without --model_name


@dataclass(frozen=True, slots=True)
class Command:
    """What `serve-model` was told.

    Attributes:
        log_style: `text` or `json`.
        warnings: What was said that has no meaning here.
    """

    options: Options
    log_style: str
    log_level: str
    warnings: tuple[str, ...]


def parse(words: Sequence[str]) -> Command:
    """The command; exits with status 2 where the words cannot be understood, with 0 after `--help`.

    Raises:
        CannotStart: They are understood, and ask for what cannot be.
    """
    known = parser()
    said = known.parse_args(known.spell(words))
    for name in NOT_YET:
        if getattr(said, name) is not None:
            raise CannotStart(f"--{name} is not supported yet; start without it")
    options = Options(
        source=_source(said),
        engine=_engine(said),
        limits=Limits(said.enable_large_batch_splitting, said.reject_nonfinite),
        host=said.host,
        port=said.port,
        poll_s=said.file_system_poll_wait_seconds,
        max_message_bytes=said.max_message_bytes,
        drain_delay_s=said.drain_delay,
        grace_s=said.grace,
    )
    return Command(options, said.log_format, said.log_level, tuple(_warnings(said)))


def _source(said: argparse.Namespace) -> Source:
    given = said.models_dir or said.model_base_path
    if given is None:
        raise CannotStart("say what to serve: serve-model MODELS_DIR (serve-model --help shows examples)")
    if said.models_dir and said.model_base_path:
        raise CannotStart("MODELS_DIR and --model_base_path are two ways to say what to serve; give one of them")
    if given.startswith(_REMOTE):
        raise CannotStart(f"{given}: only local folders are served; copy or mount the bundles here first")
    name = said.model_name or (_DEFAULT_NAME if said.model_base_path else None)
    try:
        return Source(Path(given).absolute(), name and check_name(name), single=not said.models_dir)
    except UnsafePath as error:
        raise CannotStart(f"--model_name: {error}") from error


def _engine(said: argparse.Namespace) -> EngineOptions:
    largest = said.allowed_batch_sizes[-1] if said.allowed_batch_sizes else None
    if largest is not None and said.max_batch_size not in (None, largest):
        raise CannotStart(
            "Last entry in allowed_batch_sizes must match max_batch_size;"
            f" last entry was {largest}; expected {said.max_batch_size}"
        )
    return EngineOptions(
        kind=said.engine,
        device=said.device,
        threads=said.threads,
        max_batch_size=said.max_batch_size or largest,
        allowed_batch_sizes=said.allowed_batch_sizes,
        batch_timeout_micros=said.batch_timeout_micros,
        max_queue_rows=said.max_queue_rows,
        max_queue_bytes=said.max_queue_bytes,
        load_timeout_s=said.load_timeout,
        memory_limit_bytes=said.engine_memory_limit,
    )


def _warnings(said: argparse.Namespace) -> list[str]:
    found = [f"--{name} has no meaning here and is ignored" for name in WITHOUT_MEANING if getattr(said, name)]
    if said.rest_api_port:
        found.append("REST is not offered yet: callers reach this server over gRPC only")
    if not said.enable_batching:
        found.append("--enable_batching=false is ignored: what waits while the engine is busy runs together")
    return found
