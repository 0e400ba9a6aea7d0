"""TensorFlow Serving's ModelServerConfig: which models are served, in which versions, under which labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foldserve_contract.errors import UnsafePath
from foldserve_contract.protos import ModelServerConfig
from foldserve_contract.repository import check_name

from ...errors import CannotStart, InvalidRequest
from ...models.model_config import All, Latest, ModelConfig, Policy, Specific
from .text_format import read

_REMOTE = ("gs://", "s3://", "hdfs://", "http://", "https://")
_PLATFORMS = ("", "tensorflow")
_CUSTOM = (
    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported"
)


def read_models(path: Path) -> tuple[ModelConfig, ...]:
    """The models that a `--model_config_file` names.

    Raises:
        CannotStart: It cannot be read, or asks for what cannot be.
    """
    try:
        return model_configs(read("model_config_file", path, ModelServerConfig))
    except InvalidRequest as error:
        raise CannotStart(f"--model_config_file: {path}: {error}") from error


def model_configs(message: Any) -> tuple[ModelConfig, ...]:
    """The models of a ModelServerConfig.

    Raises:
        InvalidRequest: It asks for what cannot be served.
    """
    if message.WhichOneof("config") != "model_config_list":
        raise InvalidRequest(_CUSTOM)
    models = tuple(_model(config) for config in message.model_config_list.config)
    names = [model.name for model in models]
    for name in sorted({name for name in names if names.count(name) > 1}):
        raise InvalidRequest(f"model {name} is configured {names.count(name)} times; name each model once")
    return models


def _model(config: Any) -> ModelConfig:
    try:
        name = check_name(config.name)
    except UnsafePath as error:
        raise InvalidRequest(str(error)) from error
    if config.model_platform not in _PLATFORMS:
        raise InvalidRequest(
            f'model {name}: model_platform "{config.model_platform}" is not known; say "tensorflow" or leave it out'
        )
    labels = dict(config.version_labels)
    if any(not label for label in labels):
        raise InvalidRequest(f"model {name}: a version label needs a name")
    return ModelConfig(name, _base_path(name, config.base_path), _policy(name, config.model_version_policy), labels)


def _base_path(name: str, base_path: str) -> Path:
    if base_path.startswith(_REMOTE):
        raise InvalidRequest(f"model {name}: {base_path}: only local folders are served; copy or mount it here first")
    if not base_path.startswith("/"):
        raise InvalidRequest(f"Expected model {name} to have an absolute path or URI; got base_path()={base_path}")
    return Path(base_path)


def _policy(name: str, policy: Any) -> Policy:
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return All()
    if choice == "specific":
        return Specific(_versions(name, policy.specific.versions))
    return Latest(policy.latest.num_versions or 1)


def _versions(name: str, versions: Sequence[int]) -> frozenset[int]:
    if not versions or min(versions) < 0:
        raise InvalidRequest(
            f"model {name}: the policy `specific` needs versions, 0 or more, received {list(versions)}"
        )
    return frozenset(versions)
