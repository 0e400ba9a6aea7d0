"""The command line of `serve-model`, read into the server's options."""

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
from ..predict.request_options import RequestOptions
from ..repository.source import FolderSource, ListedSource
from ..security.tls import LiveTls
from ..security.tokens import read_tokens
from ..system.address import check_socket
from .flags import FOLDER_VARIABLE, WITHOUT_MEANING, make_parser
from .options import REST_PORT, EngineFlags, ServerOptions
from .transport_options import CONNECTION_AGE_S, METRICS, TransportOptions

_REMOTE = ("gs://", "s3://", "hdfs://", "http://", "https://")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_DECIDED_ELSEWHERE = {
    "grpc.max_receive_message_length": "--max-message-bytes bounds the requests of gRPC and of REST",
    "grpc.so_reuseport": "the port is shared by the front ends of this server (--front-ends), and by nothing else",
}
_SAME_MEANING = {
    "grpc.max_concurrent_streams": "max-concurrent-streams",
    "grpc.max_connection_age_ms": "max-connection-age",
}
_DEFAULT_NAME = "default"  # TensorFlow Serving's, where --model_base_path comes without --model_name


@dataclass(frozen=True, slots=True)
class ServeCommand:
    """A parsed command line of `serve-model`.

    Attributes:
        log_style: `text` or `json`.
        warnings: Flags that were given and have no meaning here.
    """

    options: ServerOptions
    log_style: str
    log_level: str
    warnings: tuple[str, ...]


def parse(words: Sequence[str]) -> ServeCommand:
    """Parses the command line; exits with status 2 where it cannot be understood, with 0 after `--help`.

    Raises:
        CannotStart: It is understood, and asks for something impossible.
    """
    parser = make_parser()
    arguments = parser.parse_args(parser.spell(words))
    batching = _batching(arguments, parser)
    source = _source(arguments)
    options = _options(arguments, source)
    if not options.front_end_timeout_s:
        raise CannotStart("--front-end-timeout must be above 0, received 0: every front end would be ended at once")
    if options.port and options.port == options.rest_port:
        raise CannotStart(f"--port and --rest_api_port are both {options.port}; leave --rest_api_port 0 for gRPC alone")
    if options.transport.socket_path is not None:
        check_socket(options.transport.socket_path)
    return ServeCommand(options, arguments.log_format, arguments.log_level, (*_warnings(arguments), *batching))


def _options(arguments: argparse.Namespace, source: FolderSource | ListedSource) -> ServerOptions:
    return ServerOptions(
        source=source,
        engine=_engine(arguments),
        limits=RequestOptions(arguments.enable_large_batch_splitting, arguments.reject_nonfinite),
        host=arguments.host,
        port=arguments.port,
        rest_port=_rest_port(arguments),
        rest_timeout_s=arguments.rest_api_timeout_in_ms / 1000,
        poll_s=arguments.file_system_poll_wait_seconds,
        transport=_transport(arguments),
        drain_delay_s=arguments.drain_delay,
        grace_s=arguments.grace,
        roots=arguments.allowed_roots or roots(source),
        config_file=_config_file(arguments),
        config_poll_s=arguments.model_config_file_poll_wait_seconds,
        stop_first=arguments.swap == "stop-first",
        reload_timeout_s=arguments.reload_timeout,
        front_ends=arguments.front_ends,
        front_end_timeout_s=arguments.front_end_timeout,
    )


def parse_front_end(words: Sequence[str]) -> ServeCommand:
    """Parses the command line for a front end, whose models come from the supervisor.

    Raises:
        CannotStart: A file that it names cannot be read any more.
    """
    parser = make_parser()
    arguments = parser.parse_args(parser.spell(words))
    _batching(arguments, parser)
    return ServeCommand(
        _options(arguments, ListedSource((), "the supervisor")), arguments.log_format, arguments.log_level, ()
    )


def roots(source: FolderSource | ListedSource) -> tuple[Path, ...]:
    """The folders of the models that were named at the start: other models may be served from there."""
    if isinstance(source, FolderSource) and not source.single:
        return (source.path,)
    paths = [source.path] if isinstance(source, FolderSource) else [model.path for model in source.models]
    return tuple(sorted({path.parent if path.parent != path.parent.parent else path for path in paths}))


def _source(arguments: argparse.Namespace) -> FolderSource | ListedSource:
    given = arguments.models_dir or arguments.model_base_path or os.environ.get(FOLDER_VARIABLE)
    if arguments.model_config_file:
        return _listed(arguments)
    if given is None:
        raise CannotStart("say what to serve: serve-model MODELS_DIR (serve-model --help shows examples)")
    if arguments.models_dir and arguments.model_base_path:
        raise CannotStart("MODELS_DIR and --model_base_path are two ways to say what to serve; give one of them")
    if given.startswith(_REMOTE):
        raise CannotStart(f"{given}: only local folders are served; copy or mount the bundles here first")
    name = arguments.model_name or (_DEFAULT_NAME if arguments.model_base_path else None)
    try:
        return FolderSource(
            Path(given).absolute(), name and check_name(name), single=given == arguments.model_base_path
        )
    except UnsafePath as error:
        raise CannotStart(f"--model_name: {error}") from error


def _listed(arguments: argparse.Namespace) -> ListedSource:
    for name in ("models_dir", "model_base_path", "model_name"):
        if getattr(arguments, name):
            word = "MODELS_DIR" if name == "models_dir" else f"--{name}"
            raise CannotStart(f"--model_config_file and {word} are two ways to say what to serve; give one of them")
    from .tf_serving_files.model_server_config import read_models  # protocol buffers are slow to import: not for --help

    path = Path(arguments.model_config_file).absolute()
    models = read_models(path)
    try:
        require_inside(models, arguments.allowed_roots or [Path("/")])
    except Forbidden as error:
        raise CannotStart(f"{path}: {error}") from error
    return ListedSource(models, str(path))


def _config_file(arguments: argparse.Namespace) -> Path | None:
    return Path(arguments.model_config_file).absolute() if arguments.model_config_file else None


def _batching(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> tuple[str, ...]:
    """Takes the values of a `--batching_parameters_file` for flags that are not given; gives warnings."""
    if not arguments.batching_parameters_file:
        return ()
    if not arguments.enable_batching:
        raise CannotStart(
            "--batching_parameters_file has no meaning with --enable_batching=false; leave one of them out"
        )
    # protocol buffers are slow to import: not for --help
    from .tf_serving_files.batching_parameters import read_batching

    batching = read_batching(Path(arguments.batching_parameters_file).absolute())
    for name in ("max_batch_size", "batch_timeout_micros", "max_queue_rows", "allowed_batch_sizes"):
        value = getattr(batching, name)
        if value in (None, ()):
            continue
        if getattr(arguments, name) not in (parser.get_default(name), value):
            raise CannotStart(f"--{name} and --batching_parameters_file say different things; leave one of them out")
        setattr(arguments, name, value)
    return batching.warnings


def _transport(arguments: argparse.Namespace) -> TransportOptions:
    tls = access = None
    tls_file = Path(arguments.ssl_config_file).absolute() if arguments.ssl_config_file else None
    tokens_file = Path(arguments.tokens_file).absolute() if arguments.tokens_file else None
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
        socket_path=arguments.grpc_socket_path,
        max_message_bytes=arguments.max_message_bytes,
        max_inflight_bytes=arguments.max_inflight_bytes,
        max_concurrent_streams=arguments.max_concurrent_streams,
        max_concurrent_rpcs=arguments.max_concurrent_rpcs,
        tensor_content=arguments.enable_serialization_as_tensor_content,
        cors=arguments.rest_api_enable_cors_support,
        metrics_path=_metrics_path(arguments),
        channel_arguments=_channel_arguments(arguments),
        max_connection_age_s=_connection_age_s(arguments),
    )


def _channel_arguments(arguments: argparse.Namespace) -> tuple[tuple[str, int | str], ...]:
    """Settings of gRPC as they were given, unless a flag of its own has the same meaning."""
    given: tuple[tuple[str, int | str], ...] = arguments.grpc_channel_arguments
    for name, _ in given:
        if name in _DECIDED_ELSEWHERE:
            raise CannotStart(f"--grpc_channel_arguments: {name} cannot be set here: {_DECIDED_ELSEWHERE[name]}")
        flag = _SAME_MEANING.get(name, "")
        if flag and getattr(arguments, flag.replace("-", "_")) is not None:
            raise CannotStart(
                f"--{flag} and --grpc_channel_arguments {name} have the same meaning; leave one of them out"
            )
    return given


def _metrics_path(arguments: argparse.Namespace) -> str | None:
    if not arguments.monitoring_config_file:
        return METRICS
    # protocol buffers are slow to import: not for --help
    from .tf_serving_files.monitoring_config import read_monitoring

    return read_monitoring(Path(arguments.monitoring_config_file).absolute())


def _engine(arguments: argparse.Namespace) -> EngineFlags:
    largest = arguments.allowed_batch_sizes[-1] if arguments.allowed_batch_sizes else None
    if largest is not None and arguments.max_batch_size not in (None, largest):
        raise CannotStart(
            "Last entry in allowed_batch_sizes must match max_batch_size;"
            f" last entry was {largest}; expected {arguments.max_batch_size}"
        )
    choice = next((kind for name, kind in reversed(arguments.engine) if not name), "auto")
    if arguments.shadow_engine == choice:
        raise CannotStart(f"--engine and --shadow_engine are both {choice}: a shadow engine must be the other one")
    values = values_of(EngineFlags, arguments) | {"max_batch_size": arguments.max_batch_size or largest}
    return EngineFlags(**values, choice=choice, choices={name: kind for name, kind in arguments.engine if name})


def _connection_age_s(arguments: argparse.Namespace) -> float | None:
    """The age after which connections are renewed: None for never, which 0 stands for."""
    if arguments.max_connection_age is None:
        return CONNECTION_AGE_S if arguments.front_ends > 1 else None
    return arguments.max_connection_age or None


def _rest_port(arguments: argparse.Namespace) -> int | None:
    """The port of REST: 0 stands for none, as in TensorFlow Serving, -1 for any; by default the one for `--port`."""
    if arguments.rest_api_port is None:
        return REST_PORT if arguments.port else 0
    return None if arguments.rest_api_port == 0 else max(0, arguments.rest_api_port)


def _warnings(arguments: argparse.Namespace) -> list[str]:
    warnings = [f"--{name} has no meaning here and is ignored" for name in WITHOUT_MEANING if getattr(arguments, name)]
    if arguments.tokens_file and not arguments.ssl_config_file and arguments.host not in _LOOPBACK:
        warnings.append("tokens are sent over connections that are not encrypted; encrypt them with --ssl_config_file")
    return warnings
