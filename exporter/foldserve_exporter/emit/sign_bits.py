"""Rewrite of sign-bit tests, which ONNX lacks: Keras' argmax and argmin take −0 for less than 0."""

from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from .fusions import GraphIndex, Replacements

_SIGN_BIT = np.iinfo(np.int32).min


def compare_reciprocals(index: GraphIndex) -> Replacements:
    """Rewrites (bits(x) & sign) < 0 as 1/x < 0, which is the same for every number, −0 and 0 included."""
    for less in index.graph.node:
        if less.op_type != "Less":
            continue
        wide = index.producer(less.input[0], "Cast")  # tf2onnx compares numbers as floats
        masked = index.producer(less.input[0] if wide is None else wide.input[0], "BitwiseAnd")
        parts = None if masked is None else index.constant_operand(masked)
        bits = None if parts is None or not _is_sign(parts[0]) else index.producer(parts[2], "Bitcast")
        if masked is None or bits is None:
            continue
        zero, reciprocal = f"{less.name}/zero", f"{less.name}/reciprocal"
        index.graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), zero))
        yield bits.output[0], []
        yield masked.output[0], []
        if wide is not None:
            yield wide.output[0], []
        yield (
            less.output[0],
            [
                helper.make_node("Reciprocal", [bits.input[0]], [reciprocal], reciprocal),
                helper.make_node("Less", [reciprocal, zero], list(less.output), less.name),
            ],
        )


def _is_sign(value: Any) -> bool:
    return value.dtype == np.int32 and bool(np.all(value == _SIGN_BIT))
