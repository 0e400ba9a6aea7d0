"""Conversion of tensorflow.serving.Input to examples."""

from collections import ChainMap
from typing import Any

from ..predict.examples import BYTES, FLOAT, INT64, Example, Feature

_KINDS = {"float_list": FLOAT, "int64_list": INT64, "bytes_list": BYTES}
_EMPTY = Feature(frozenset(), ())


def examples(message: Any) -> list[Example]:
    """The examples of a message; features that an example lacks are taken from the context."""
    if message.WhichOneof("kind") == "example_list_with_context":
        merged = message.example_list_with_context
        context = _features(merged.context)
        return [ChainMap(_features(example), context) for example in merged.examples]
    return [_features(example) for example in message.example_list.examples]


def _features(example: Any) -> dict[str, Feature]:
    return {name: _feature(feature) for name, feature in example.features.feature.items()}


def _feature(feature: Any) -> Feature:
    kind = feature.WhichOneof("kind")
    return Feature(frozenset([_KINDS[kind]]), getattr(feature, kind).value) if kind else _EMPTY
