"""The flags of `serve-model`: the text of their help, and TensorFlow Serving's that are accepted and ignored."""

import argparse

from ..system.version import own_version
from . import converters
from .flag_syntax import FlagParser
from .options import EngineFlags
from .transport_options import MAX_MESSAGE_BYTES

FOLDER_VARIABLE = "FOLDSERVE_MODELS"
DESCRIPTION = """\
Serve every bundle in MODELS_DIR over gRPC and REST, as clients of TensorFlow Serving and of Triton expect it.

MODELS_DIR holds NAME/VERSION/bundle.json, as export-model writes it. The highest version of each model serves, after
its golden samples came back from the very engine that will answer. New versions are picked up while the server runs;
one that fails that check is refused, and the version before it keeps serving.
"""
EXAMPLES = """\
examples:
  serve-model models/                                  every model, on 127.0.0.1:8500; http://localhost:8501/ shows it
  serve-model models/ --host 0.0.0.0 --ssl_config_file tls.config --tokens-file tokens.toml
                                                       for other machines: encrypted, and for those who have a token
  serve-model models/ --port 0                         any free ports; the lines on stdout name them
  serve-model --model_name=digits --model_base_path=/models/digits
                                                       one model, as tensorflow_model_server is called
  serve-model --model_config_file=models.config --model_config_file_poll_wait_seconds=10
                                                       models, versions and labels from a file, also when it changes
  serve-model models/ --max_batch_size 32 --batch_timeout_micros 2000
                                                       wait up to 2 ms for a fuller batch
  serve-model models/ --file_system_poll_wait_seconds 0
                                                       new versions only when tritonclient's load_model asks for them
  serve-model models/ --drain-delay 5 --grace 30       on SIGTERM: 5 s for balancers to notice, 30 s to finish

asking it:
  curl localhost:8501/v1/models/digits                 its versions, and why one was refused
  curl localhost:8501/v2/health/ready                  200 once all that was there is loaded or refused, for balancers
  curl localhost:8501/monitoring/prometheus/metrics    TensorFlow Serving's metrics, Triton's and foldserve's

A name may be written with - or _, and a switch as --flag or --flag=true. Exit status: 0 after SIGTERM or SIGINT,
2 where the command line or the machine does not allow a start, 1 where front ends end again and again, 70 after an
error that nobody foresaw, with a line that names the file of its trace.
"""
WITHOUT_MEANING = (
    "rest_api_num_threads",
    "num_load_threads",
    "num_unload_threads",
    "max_num_load_retries",
    "load_retry_interval_micros",
    "enable_model_warmup",
    "enable_grpc_healthcheck_service",
    "grpc_max_threads",
    "tensorflow_session_parallelism",
    "tensorflow_intra_op_parallelism",
    "tensorflow_inter_op_parallelism",
    "per_process_gpu_memory_fraction",
    "saved_model_tags",
    "flush_filesystem_caches",
    "allow_version_labels_for_unavailable_models",
    "enable_per_model_batching_parameters",
    "enable_profiler",
    "enable_signature_method_name_check",
    "mixed_precision",
    "num_request_iterations_for_warmup",
    "num_tflite_interpreters_per_pool",
    "num_tflite_pools",
    "prefer_tflite_model",
    "remove_unused_fields_from_bundle_metagraph",
    "skip_initialize_tpu",
    "tensorflow_session_config_file",
    "thread_pool_factory_config_file",
    "xla_cpu_compilation_enabled",
)
_LEVELS = ("debug", "info", "warning", "error")


def make_parser() -> FlagParser:
    """Every flag there is."""
    parser = FlagParser("serve-model", "serve-model MODELS_DIR [flags]", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "models_dir",
        nargs="?",
        metavar="MODELS_DIR",
        help=f"folder of models: NAME/VERSION/bundle.json (default: ${FOLDER_VARIABLE}, where no flag names models)",
    )
    _add_models(parser)
    parser.theme("who may reach it, and how")
    _add_network(parser)
    parser.theme("limits and timeouts")
    _add_limits(parser)
    parser.theme("engine and batching")
    _add_engine(parser)
    parser.theme("logging and monitoring")
    parser.flag("version", "print the version and end", action="version", version=f"serve-model {own_version()}")
    parser.flag("log-format", "text, or json: one object a line", choices=("text", "json"), default="text")
    parser.flag("log-level", "debug, info, warning or error", default="info", choices=_LEVELS)
    parser.flag(
        "monitoring_config_file", "where Prometheus finds metrics, in TensorFlow Serving's text format", metavar="FILE"
    )
    for name in WITHOUT_MEANING:
        parser.flag(name, argparse.SUPPRESS, nargs="?", const="true")
    return parser


def _add_models(parser: FlagParser) -> None:
    parser.flag(
        "model_name", "serve this model only; with --model_base_path, the name it is served under", metavar="NAME"
    )
    parser.flag(
        "model_base_path", "the folder of one model, holding its versions; instead of MODELS_DIR", metavar="DIR"
    )
    parser.flag(
        "model_config_file", "the models, their versions and labels in TensorFlow Serving's text format", metavar="FILE"
    )
    parser.flag(
        "model_config_file_poll_wait_seconds",
        "polling interval in seconds (default 0: it is read once)",
        type=converters.seconds,
        default=0.0,
    )
    parser.flag(
        "allowed-roots",
        "folders below which callers may have models served, such as /models,/more (default: where the models given"
        " here lie)",
        type=converters.paths,
        default=(),
    )
    parser.flag(
        "reload-timeout",
        "seconds the models of a reload may take to load (default 600)",
        type=converters.seconds,
        default=600.0,
    )
    parser.flag(
        "swap",
        "start-first loads a new version beside the old one (the default); stop-first frees its memory before",
        choices=("start-first", "stop-first"),
        default="start-first",
    )
    parser.options(EngineFlags, "models")
    parser.flag(
        "file_system_poll_wait_seconds",
        "seconds between two looks for new versions; 0 looks once (default 1)",
        type=converters.seconds,
        default=1.0,
    )


def _add_network(parser: FlagParser) -> None:
    parser.flag(
        "host",
        "address to listen on (default 127.0.0.1: this machine only; 0.0.0.0 or [::]: every address, IPv4 and IPv6)",
        type=converters.host,
        default="127.0.0.1",
        metavar="HOST",
    )
    parser.flag("port", "gRPC port (default 8500); 0 takes any free one", type=converters.port, default=8500)
    parser.flag(
        "rest_api_port",
        "port of REST and of the page (default 8501; with --port 0 any free one); 0 for none, -1 for any free one",
        type=converters.rest_port,
    )
    parser.flag(
        "rest_api_timeout_in_ms",
        "how long a REST request may take (default 30000); 0 for any time",
        type=converters.count,
        default=30_000,
    )
    parser.switch(
        "enable_serialization_as_tensor_content", "answer Predict in tensor_content, not in float_val and its like"
    )
    parser.switch("rest_api_enable_cors_support", "let pages from elsewhere ask REST, as browsers do")
    parser.flag(
        "grpc_channel_arguments",
        "settings of gRPC's server, which replace foldserve's own, such as grpc.max_connection_age_ms=2000",
        type=converters.channel_arguments,
        default=(),
        metavar="NAME=VALUE,…",
    )
    parser.flag("grpc_socket_path", "a Unix socket that gRPC listens on too, unencrypted", type=converters.path)
    parser.flag(
        "ssl_config_file", "encrypt: key, certificate and authority in TensorFlow Serving's text format", metavar="FILE"
    )
    parser.flag(
        "tokens-file", "ask callers for a token: who may ask for which models (docs/operations.md)", metavar="FILE"
    )


def _add_limits(parser: FlagParser) -> None:
    parser.flag(
        "max-message-bytes",
        "largest request, such as 256MiB (the default)",
        type=converters.message_size,
        default=MAX_MESSAGE_BYTES,
    )
    parser.flag(
        "max-inflight-bytes",
        "bytes of all requests that are being answered, such as 1GiB (the default); more are told to retry",
        type=converters.size,
        default=1 << 30,
    )
    parser.flag(
        "front-ends",
        "processes that answer callers, on one port (default 1; more where one Python process is the limit)",
        type=converters.positive,
        default=1,
    )
    parser.flag(
        "front-end-timeout",
        "seconds a front end may be silent, or take to adopt a change, before it is ended and started again"
        " (default 10; longer while it reads a large message)",
        type=converters.seconds,
        default=10.0,
    )
    parser.flag(
        "max-connection-age",
        "seconds after which gRPC asks a caller to connect again, so that connections spread over the front ends"
        " (default 300 with several of them, else 0: never)",
        type=converters.seconds,
    )
    parser.flag("max-concurrent-streams", "calls at once on one connection", type=converters.positive)
    parser.flag(
        "max-concurrent-rpcs",
        "calls that are answered at once, of gRPC and of REST each; more are told to retry",
        type=converters.positive,
    )
    parser.flag(
        "drain-delay", "seconds after SIGTERM in which new work is still taken", type=converters.seconds, default=0.0
    )
    parser.flag("grace", "seconds that accepted work may then take (default 30)", type=converters.seconds, default=30.0)


def _add_engine(parser: FlagParser) -> None:
    parser.flag(
        "engine",
        "which artifact answers: auto, onnx or tensorflow; NAME=onnx for one model; may be given several times",
        type=converters.engine,
        action="append",
        default=[],
    )
    parser.options(EngineFlags)
    parser.switch("enable_large_batch_splitting", "split larger requests instead of refusing them")
    parser.flag(
        "batching_parameters_file",
        "batch sizes, waiting and queue in TensorFlow Serving's text format",
        metavar="FILE",
    )
    parser.switch("reject-nonfinite", "refuse requests that hold NaN or infinity")
