"""From the words of the command line to the server's options."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.errors import UnsafePath
from foldserve_contract.options import values_of
from foldserve_contract.repository import check_name

from ..errors import CannotStart, Forbidden
from ..models.admin import require_inside
from ..predict.request_limits import RequestLimits
from ..repository.source import FolderSource, ListedSource
from ..security.tls import LiveTls
from ..security.tokens import read_tokens
from ..system.address import check_socket
from .flags import FOLDER_VARIABLE, WITHOUT_MEANING, parser
from .options import REST_PORT, EngineFlags, ServerOptions
from .transport_options import CONNECTION_AGE_S, METRICS, TransportOptions

_REMOTE = ("gs://", "s3://", "hdfs://", "http://", "https://")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_DEFAULT_NAME = "default"  # TensorFlow Serving's, where --model_base_path comes without --model_name


@dataclass(frozen=True, slots=True)
class ServeCommand:
    """What `serve-model` was told.

    Attributes:
        log_style: `text` or `json`.
        warnings: What was said that has no meaning here.
    """

    options: ServerOptions
    log_style: str
    log_level: str
    warnings: tuple[str, ...]


def parse(words: Sequence[str]) -> ServeCommand:
    """The command; exits with status 2 where the words cannot be understood, with 0 after `--help`.

    Raises:
        CannotStart: They are understood, and ask for what cannot be.
    """
    known = parser()
    said = known.parse_args(known.spell(words))
    batching = _batching(said, known)
    source = _source(said)
    options = _options(said, source)
    if not options.front_end_timeout_s:
        raise CannotStart("--front-end-timeout must be above 0, received 0: every front end would be ended at once")
    if options.transport.socket_path is not None:
        check_socket(options.transport.socket_path)
    return ServeCommand(options, said.log_format, said.log_level, (*_warnings(said), *batching))


def _options(said: argparse.Namespace, source: FolderSource | ListedSource) -> ServerOptions:
    return ServerOptions(
        source=source,
        engine=_engine(said),
        limits=RequestLimits(said.enable_large_batch_splitting, said.reject_nonfinite),
        host=said.host,
        port=said.port,
        rest_port=_rest_port(said),
        rest_timeout_s=said.rest_api_timeout_in_ms / 1000,
        poll_s=said.file_system_poll_wait_seconds,
        transport=_transport(said),
        drain_delay_s=said.drain_delay,
        grace_s=said.grace,
        roots=said.allowed_roots or roots(source),
        config_file=_config_file(said),
        config_poll_s=said.model_config_file_poll_wait_seconds,
        stop_first=said.swap == "stop-first",
        reload_timeout_s=said.reload_timeout,
        front_ends=said.front_ends,
        front_end_timeout_s=said.front_end_timeout,
    )


def parse_front_end(words: Sequence[str]) -> ServeCommand:
    """The command as a front end in a process of its own needs it, which is not told what is served.

    Raises:
        CannotStart: A file that it names cannot be read any more.
    """
    known = parser()
    said = known.parse_args(known.spell(words))
    _batching(said, known)
    return ServeCommand(_options(said, ListedSource((), "the supervisor")), said.log_format, said.log_level, ())


def roots(source: FolderSource | ListedSource) -> tuple[Path, ...]:
    """Where the models lie that were named at the start: other models may be served from there."""
    if isinstance(source, FolderSource) and not source.single:
        return (source.path,)
    paths = [source.path] if isinstance(source, FolderSource) else [model.path for model in source.models]
    return tuple(sorted({path.parent if path.parent != path.parent.parent else path for path in paths}))


def _source(said: argparse.Namespace) -> FolderSource | ListedSource:
    given = said.models_dir or said.model_base_path or os.environ.get(FOLDER_VARIABLE)
    if said.model_config_file:
        return _listed(said)
    if given is None:
        raise CannotStart("say what to serve: serve-model MODELS_DIR (serve-model --help shows examples)")
    if said.models_dir and said.model_base_path:
        raise CannotStart("MODELS_DIR and --model_base_path are two ways to say what to serve; give one of them")
    if given.startswith(_REMOTE):
        raise CannotStart(f"{given}: only local folders are served; copy or mount the bundles here first")
    name = said.model_name or (_DEFAULT_NAME if said.model_base_path else None)
    try:
        return FolderSource(Path(given).absolute(), name and check_name(name), single=given == said.model_base_path)
    except UnsafePath as error:
        raise CannotStart(f"--model_name: {error}") from error


def _listed(said: argparse.Namespace) -> ListedSource:
    for name in ("models_dir", "model_base_path", "model_name"):
        if getattr(said, name):
            word = "MODELS_DIR" if name == "models_dir" else f"--{name}"
            raise CannotStart(f"--model_config_file and {word} are two ways to say what to serve; give one of them")
    from .tf_serving_files.model_server_config import read_models  # protocol buffers are slow to import: not for --help

    path = Path(said.model_config_file).absolute()
    models = read_models(path)
    try:
        require_inside(models, said.allowed_roots or [Path("/")])
    except Forbidden as error:
        raise CannotStart(f"{path}: {error}") from error
    return ListedSource(models, str(path))


def _config_file(said: argparse.Namespace) -> Path | None:
    return Path(said.model_config_file).absolute() if said.model_config_file else None


def _batching(said: argparse.Namespace, known: argparse.ArgumentParser) -> tuple[str, ...]:
    """Puts what a `--batching_parameters_file` says in the place of the flags that say nothing; gives warnings."""
    if not said.batching_parameters_file:
        return ()
    if not said.enable_batching:
        raise CannotStart(
            "--batching_parameters_file has no meaning with --enable_batching=false; leave one of them out"
        )
    from .tf_serving_files.batching_parameters import (
        read_batching,  # protocol buffers are slow to import: not for --help
    )

    batching = read_batching(Path(said.batching_parameters_file).absolute())
    for name in ("max_batch_size", "batch_timeout_micros", "max_queue_rows", "allowed_batch_sizes"):
        value = getattr(batching, name)
        if value in (None, ()):
            continue
        if getattr(said, name) not in (known.get_default(name), value):
            raise CannotStart(f"--{name} and --batching_parameters_file say different things; leave one of them out")
        setattr(said, name, value)
    return batching.warnings


def _transport(said: argparse.Namespace) -> TransportOptions:
    tls = access = None
    tls_file = Path(said.ssl_config_file).absolute() if said.ssl_config_file else None
    tokens_file = Path(said.tokens_file).absolute() if said.tokens_file else None
    if tls_file is not None:
        from .tf_serving_files.ssl_config import read_tls  # protocol buffers are slow to import: not for --help

        tls = LiveTls(read_tls(tls_file))
    if tokens_file is not None:
        access = read_tokens(tokens_file)
    return TransportOptions(
        tls=tls,
        access=access,
        tls_file=tls_file,
        tokens_file=tokens_file,
        socket_path=said.grpc_socket_path,
        max_message_bytes=said.max_message_bytes,
        max_inflight_bytes=said.max_inflight_bytes,
        max_concurrent_streams=said.max_concurrent_streams,
        max_concurrent_rpcs=said.max_concurrent_rpcs,
        tensor_content=said.enable_serialization_as_tensor_content,
        cors=said.rest_api_enable_cors_support,
        metrics_path=_metrics_path(said),
        channel_arguments=said.grpc_channel_arguments,
        max_connection_age_s=_connection_age_s(said),
    )


def _metrics_path(said: argparse.Namespace) -> str | None:
    if not said.monitoring_config_file:
        return METRICS
    from .tf_serving_files.monitoring_config import (
        read_monitoring,  # protocol buffers are slow to import: not for --help
    )

    return read_monitoring(Path(said.monitoring_config_file).absolute())


def _engine(said: argparse.Namespace) -> EngineFlags:
    largest = said.allowed_batch_sizes[-1] if said.allowed_batch_sizes else None
    if largest is not None and said.max_batch_size not in (None, largest):
        raise CannotStart(
            "Last entry in allowed_batch_sizes must match max_batch_size;"
            f" last entry was {largest}; expected {said.max_batch_size}"
        )
    choice = next((kind for name, kind in reversed(said.engine) if not name), "auto")
    if said.shadow_engine == choice:
        raise CannotStart(f"--engine and --shadow_engine are both {choice}: a shadow engine must be the other one")
    values = values_of(EngineFlags, said) | {"max_batch_size": said.max_batch_size or largest}
    return EngineFlags(**values, choice=choice, choices={name: kind for name, kind in said.engine if name})


def _connection_age_s(said: argparse.Namespace) -> float | None:
    """0 is any age; where nothing is said, connections wander where there is somewhere else to go."""
    if said.max_connection_age is None:
        return CONNECTION_AGE_S if said.front_ends > 1 else None
    return said.max_connection_age or None


def _rest_port(said: argparse.Namespace) -> int | None:
    """0 is none, as TensorFlow Serving has it, and -1 any; where nothing is said, what goes with `--port`."""
    if said.rest_api_port is None:
        return REST_PORT if said.port else 0
    return None if said.rest_api_port == 0 else max(0, said.rest_api_port)


def _warnings(said: argparse.Namespace) -> list[str]:
    found = [f"--{name} has no meaning here and is ignored" for name in WITHOUT_MEANING if getattr(said, name)]
    if said.tokens_file and not said.ssl_config_file and said.host not in _LOOPBACK:
        found.append("tokens are sent over connections that are not encrypted; encrypt them with --ssl_config_file")
    return found
