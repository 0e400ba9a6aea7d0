"""Names: of inputs and outputs as Keras 2 exported them, of layers as short as they can be told apart."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from .ir import Graph

_GENERATED = re.compile(r"keras_tensor(_\d+)?(_?CLONE)*", re.IGNORECASE)


def is_generated(name: str) -> bool:
    """True if a name is one that Keras gives to a symbolic tensor by itself."""
    return not name or _GENERATED.fullmatch(name) is not None


def tensor_names(names: Iterable[str], fallback: str, taken: Sequence[str] = ()) -> tuple[str, ...]:
    """Names made unique with ``_1``, ``_2``, none of them among those ``taken``; generated ones become ``fallback``."""
    return unique_names((fallback if is_generated(name) else name for name in names), taken)


def unique_names(names: Iterable[str], taken: Sequence[str] = ()) -> tuple[str, ...]:
    """The names, each later repetition with a number behind it that nobody else bears."""
    wanted = list(names)
    seen = set(taken)
    result = []
    for name in wanted:
        candidate, number = name, 0
        while candidate in seen or (number and candidate in wanted):
            number += 1
            candidate = f"{name}_{number}"
        seen.add(candidate)
        result.append(candidate)
    return tuple(result)


def op_names(graph: Graph) -> dict[int, str]:
    """A unique Keras name for every op, by its id: its own name where that is unique, else its path joined by ``_``."""
    ops = {id(node.op): node.op for node in graph.nodes}
    count = Counter([op.name for op in ops.values()] + list(graph.input_names))
    names = {key: op.name for key, op in ops.items() if count[op.name] == 1}
    rest = [key for key in ops if key not in names]
    taken = [*graph.input_names, *names.values()]
    long = unique_names((ops[key].path.replace("/", "_") for key in rest), taken)
    return names | dict(zip(rest, long, strict=True))
