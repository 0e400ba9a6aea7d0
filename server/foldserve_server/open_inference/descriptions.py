"""Triton's messages about models: metadata, configuration, statistics, the repository's index."""

from collections.abc import Iterable
from typing import Any

from foldserve_contract.protos.open_inference import (
    ModelConfigResponse,
    ModelMetadataResponse,
    ModelStatisticsResponse,
    RepositoryIndexResponse,
)
from foldserve_contract.signature import TensorSpec

from ..errors import shorten
from ..metrics.version_statistics import VersionStatistics
from ..models.model_config import Latest, Policy, Specific
from ..models.model_engine import BatchingInfo
from ..models.servable import Servable, ServableState
from .datatypes import BY_DTYPE

_PLATFORMS = {"onnxruntime": ("onnxruntime_onnx", "onnxruntime"), "tensorflow": ("tensorflow_savedmodel", "tensorflow")}
_INSTANCES = {True: "KIND_GPU", False: "KIND_CPU"}
_STATES = {
    ServableState.START: "LOADING",
    ServableState.LOADING: "LOADING",
    ServableState.AVAILABLE: "READY",
    ServableState.UNLOADING: "UNLOADING",
    ServableState.END: "UNAVAILABLE",
}


def metadata(servable: Servable, versions: Iterable[int]) -> Any:
    """The ModelMetadataResponse; the batch is the first dimension of every shape."""
    engine = servable.engine
    platform, _ = _PLATFORMS.get(engine.info.kind, (engine.info.kind, engine.info.kind))
    message = ModelMetadataResponse(
        name=servable.name, versions=[str(version) for version in sorted(versions)], platform=platform
    )
    signature = engine.info.manifest.signature
    for specs, tensors in ((signature.inputs, message.inputs), (signature.outputs, message.outputs)):
        for spec in specs:
            tensors.add(name=spec.name, datatype=BY_DTYPE[spec.dtype].name, shape=spec.shape)
    return message


def config(servable: Servable, policy: Policy) -> Any:
    """The ModelConfigResponse; its shapes are those of a row."""
    engine = servable.engine
    message = ModelConfigResponse()
    model = message.config
    model.name = servable.name
    model.platform, model.backend = _PLATFORMS.get(engine.info.kind, (engine.info.kind, engine.info.kind))
    model.max_batch_size = engine.info.max_batch_size
    _describe_policy(policy, model.version_policy)
    _describe_batching(servable.name, engine.info.batching, model)
    signature = engine.info.manifest.signature
    for specs, tensors in ((signature.inputs, model.input), (signature.outputs, model.output)):
        for spec in specs:
            _describe_tensor(spec, tensors.add())
    return message


def _describe_policy(policy: Policy, message: Any) -> None:
    if isinstance(policy, Latest):
        message.latest.num_versions = policy.count
    elif isinstance(policy, Specific):
        message.specific.versions.extend(sorted(policy.versions))
    else:
        message.all.SetInParent()


def _describe_batching(name: str, batching: BatchingInfo, model: Any) -> None:
    """Describes one instance: an engine computes one batch after the other, on one device."""
    _, _, number = batching.device.partition(":")
    group = model.instance_group.add(name=name, count=1)
    group.kind = group.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_name[_INSTANCES[bool(number)]].number
    if number:
        group.gpus.append(int(number))
    if batching.together:
        model.dynamic_batching.SetInParent()
        model.dynamic_batching.preferred_batch_size.extend(batching.sizes)
        model.dynamic_batching.max_queue_delay_microseconds = batching.delay_us


def _describe_tensor(spec: TensorSpec, tensor: Any) -> None:
    tensor.name = spec.name
    number = tensor.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_name[BY_DTYPE[spec.dtype].config].number
    tensor.data_type = number
    if spec.row_shape:
        tensor.dims.extend(spec.row_shape)
    else:  # Triton's models have at least one dimension besides the batch
        tensor.dims.append(1)
        tensor.reshape.SetInParent()


def statistics(servables: Iterable[Servable]) -> Any:
    """The ModelStatisticsResponse; all time that is not spent waiting for a batch counts as computing."""
    message = ModelStatisticsResponse()
    for servable in servables:
        usage = VersionStatistics.of(servable)
        model = message.model_stats.add(name=servable.name, version=str(servable.version))
        model.last_inference = usage.last_ms
        model.inference_count = usage.rows
        model.execution_count = usage.executions
        stats = model.inference_stats
        stats.fail.count, stats.fail.ns = sum(usage.failures.values()), usage.failure_ns
        stats.success.ns, stats.queue.ns = usage.success_ns, usage.queue_ns
        stats.compute_infer.ns = usage.compute_ns
        for part in (stats.success, stats.queue, stats.compute_input, stats.compute_infer, stats.compute_output):
            part.count = usage.successes
    return message


def index(servables: Iterable[Servable], *, ready_only: bool) -> Any:
    """The RepositoryIndexResponse; as in Triton, the reason of a version that serves normally is empty."""
    message = RepositoryIndexResponse()
    for servable in servables:
        if servable.state is ServableState.AVAILABLE or not ready_only:
            message.models.add(
                name=servable.name,
                version=str(servable.version),
                state=_STATES[servable.state],
                reason=shorten(servable.reason),
            )
    return message
