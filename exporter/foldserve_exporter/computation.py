"""Errors of TensorFlow while it computes: their cause in words, and whether it lies in the machine or in the values."""

import re
from collections.abc import Collection

import tensorflow as tf

from .error_text import error_text

_NODE = re.compile(r"\{\{node (\S+)\}\}")
_EAGER = re.compile(r"layer ['\"]([^'\"]+)['\"] \(type \w+\)")  # as tf-keras writes it
_CALLED = re.compile(r"^Exception encountered when calling (layer \S+ \(type \w+\)\.|\S+) ?")
_NUMBER = re.compile(r"_\d+$")
_PLACES = re.compile(r"\{\{.*?\}\} |\s*\[\[.*|\s*\[Op:.*|\s*Arguments received by .*", re.DOTALL)


def computation_error(error: Exception) -> str:
    """The cause alone, without TensorFlow's names of functions and nodes."""
    if not isinstance(error, tf.errors.OpError):
        return error_text(error)
    message = error_text(error).partition(": ")[2]
    cause = _CALLED.sub("", message)
    return _PLACES.sub("", cause).strip()


def failing_layer(error: tf.errors.OpError, layers: Collection[str]) -> str:
    """The one of these layers that the computation failed in; empty where it is not named.

    A graph function's scopes are layers' names, with a number behind them where one is made again.
    """
    scopes = [scope for place in _NODE.findall(error.message) for scope in place.split("/")]
    scopes += _EAGER.findall(error.message)
    names = (name for scope in scopes for name in (scope, _NUMBER.sub("", scope)))
    return next((name for name in names if name in layers), "")


def is_of_machine(error: Exception) -> bool:
    """True where the machine is the cause (no kernel, no memory), not the values that were given."""
    limits = (tf.errors.UnimplementedError, tf.errors.ResourceExhaustedError, tf.errors.InternalError)
    return isinstance(error, limits) or "CPU" in computation_error(error)
