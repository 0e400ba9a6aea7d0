"""A read-only graph of a Keras 3 model, and the way back to a model.

`trace` flattens a model of any nesting into nodes and leaves it as it was; `rebuild` makes a new functional model for
inference from such a graph, in float32 or in float64. Nothing in a graph knows a learning phase.
"""

from . import operations
from .cut import cut
from .ir import Graph, Map, Node, Op, Reading, Ref, TensorSpec, Weight
from .precision import float32_only
from .rebuild import rebuild
from .trace import trace

__all__ = [
    "Graph",
    "Map",
    "Node",
    "Op",
    "Reading",
    "Ref",
    "TensorSpec",
    "Weight",
    "cut",
    "float32_only",
    "operations",
    "rebuild",
    "trace",
]
