"""What callers may want changed, as it crosses from a front end to the supervisor and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.records import from_json, to_json

from .. import errors
from ..errors import EngineFailed, ReloadFailed, ServingError, Unavailable
from ..models.admin import Admin
from ..models.model_config import ModelConfig
from .messages import AdminReply
from .policy_message import PolicyMessage

RELOAD, LOAD, UNLOAD = "reload", "load", "unload"


@dataclass(frozen=True, slots=True)
class ModelNameMessage:
    """See `Admin.load` and `Admin.unload`."""

    name: str


@dataclass(frozen=True, slots=True)
class ModelConfigMessage:
    """A `models.model_config.ModelConfig`."""

    name: str
    path: str
    wanted: PolicyMessage
    labels: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ReloadMessage:
    """See `Admin.reload`."""

    models: tuple[ModelConfigMessage, ...]
    origin: str


def reload(models: Sequence[ModelConfig], origin: str) -> str:
    """The question."""
    return json.dumps(to_json(ReloadMessage(tuple(map(_config, models)), origin)))


def named(name: str) -> str:
    """The question about one model."""
    return json.dumps(to_json(ModelNameMessage(name)))


async def perform(admin: Admin, verb: str, content: str) -> None:
    """Does what is asked.

    Raises:
        ServingError: It cannot be done.
    """
    if verb == RELOAD:
        asked = from_json(ReloadMessage, json.loads(content))
        await admin.reload(tuple(map(_model, asked.models)), asked.origin)
    elif verb == LOAD:
        await admin.load(from_json(ModelNameMessage, json.loads(content)).name)
    elif verb == UNLOAD:
        await admin.unload(from_json(ModelNameMessage, json.loads(content)).name)
    else:
        raise EngineFailed(f"nobody knows what {verb!r} is")


def failure(answered: AdminReply) -> ServingError:
    """The error that an answer tells of."""
    if answered.reasons is not None:
        return ReloadFailed(answered.reasons)
    kind = getattr(errors, answered.error or "", EngineFailed)
    if issubclass(kind, Unavailable):
        return kind(answered.message, answered.retry_after_ms)
    return kind(answered.message) if issubclass(kind, ServingError) else EngineFailed(answered.message)


def _config(model: ModelConfig) -> ModelConfigMessage:
    return ModelConfigMessage(model.name, str(model.path), PolicyMessage.of(model.policy), model.labels)


def _model(told: ModelConfigMessage) -> ModelConfig:
    return ModelConfig(told.name, Path(told.path), told.wanted.policy, dict(told.labels))
