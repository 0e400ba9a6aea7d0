"""What callers may want changed, as it crosses from a front end to the supervisor and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.records import from_json, to_json

from ..core import errors
from ..core.admin import Admin
from ..core.errors import EngineFailed, ReloadFailed, ServingError, Unavailable
from ..core.model_config import ModelConfig
from .documents import Answered
from .wanted import Wanted

RELOAD, LOAD, UNLOAD = "reload", "load", "unload"


@dataclass(frozen=True, slots=True)
class Name:
    """See `Admin.load` and `Admin.unload`."""

    name: str


@dataclass(frozen=True, slots=True)
class Config:
    """A `core.model_config.ModelConfig`."""

    name: str
    path: str
    wanted: Wanted
    labels: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Reload:
    """See `Admin.reload`."""

    models: tuple[Config, ...]
    origin: str


def reload(models: Sequence[ModelConfig], origin: str) -> str:
    """The question."""
    return json.dumps(to_json(Reload(tuple(map(_config, models)), origin)))


def named(name: str) -> str:
    """The question about one model."""
    return json.dumps(to_json(Name(name)))


async def perform(admin: Admin, verb: str, content: str) -> None:
    """Does what is asked.

    Raises:
        ServingError: It cannot be done.
    """
    if verb == RELOAD:
        asked = from_json(Reload, json.loads(content))
        await admin.reload(tuple(map(_model, asked.models)), asked.origin)
    elif verb == LOAD:
        await admin.load(from_json(Name, json.loads(content)).name)
    elif verb == UNLOAD:
        await admin.unload(from_json(Name, json.loads(content)).name)
    else:
        raise EngineFailed(f"nobody knows what {verb!r} is")


def failure(answered: Answered) -> ServingError:
    """The error that an answer tells of."""
    if answered.reasons is not None:
        return ReloadFailed(answered.reasons)
    kind = getattr(errors, answered.error or "", EngineFailed)
    if issubclass(kind, Unavailable):
        return kind(answered.message, answered.retry_after_ms)
    return kind(answered.message) if issubclass(kind, ServingError) else EngineFailed(answered.message)


def _config(model: ModelConfig) -> Config:
    return Config(model.name, str(model.path), Wanted.of(model.policy), model.labels)


def _model(told: Config) -> ModelConfig:
    return ModelConfig(told.name, Path(told.path), told.wanted.policy, dict(told.labels))
