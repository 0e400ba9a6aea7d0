"""Graph of a Keras 3 model, read-only, and its way back to a model.

`trace` flattens a model of any nesting into nodes and leaves it as it was; `rebuild` makes a new functional model for
inference from such a graph, in float32 or in float64. A graph has no learning phase.
"""

from . import operations
from .cut import cut
from .from_keras import trace
from .ir import ChannelAffine, Graph, Node, Op, Ref, TensorInfo, Use, Weight
from .precision import float32_only
from .rebuild import rebuild
from .tensorflow_function import TensorFlowFunction

__all__ = [
    "ChannelAffine",
    "Graph",
    "Node",
    "Op",
    "Ref",
    "TensorFlowFunction",
    "TensorInfo",
    "Use",
    "Weight",
    "cut",
    "float32_only",
    "operations",
    "rebuild",
    "trace",
]
