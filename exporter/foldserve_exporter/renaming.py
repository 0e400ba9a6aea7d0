"""`--rename OLD=NEW`: other names for inputs and outputs, in both artifacts, the manifest and on the wire."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .graph import Graph, TensorInfo
from .graph.servable_names import servable_input
from .options import OptionsError

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Renames:
    """New names by old ones.

    Attributes:
        names: The new name of every tensor that gets one.
    """

    names: Mapping[str, str]

    @classmethod
    def parse(cls, arguments: Iterable[str]) -> "Renames":
        """Parses arguments such as `dense_1=scores`.

        Raises:
            OptionsError: An argument is malformed, a name is given twice, or a new name is not valid in a SavedModel.
        """
        names: dict[str, str] = {}
        for argument in arguments:
            old, equals, new = argument.partition("=")
            if not old or not equals or not _NAME.fullmatch(new):
                raise OptionsError(
                    f"--rename is OLD=NEW, the new name of letters, digits and '_', received {argument!r}"
                )
            if old in names:
                raise OptionsError(f"--rename gives {old!r} two new names")
            names[old] = new
        return cls(names)

    def of_inputs(self, graph: Graph) -> Graph:
        """The graph with the new names of its inputs.

        Raises:
            OptionsError: A new name cannot be an input's.
        """
        for new in (self.names[old] for old in graph.input_names if old in self.names):
            if servable_input(new) != new:
                raise OptionsError(
                    f"--rename: an input's name begins with a letter, and is not a word of Python's, received {new!r}"
                )
        return replace(graph, inputs=self._renamed(graph.inputs))

    def of_outputs(self, graph: Graph, inputs: Sequence[str]) -> Graph:
        """The graph with the new names of its outputs.

        Args:
            graph: Its inputs are renamed already.
            inputs: Their names before.

        Raises:
            OptionsError: A name belongs to no input or output, or two tensors would have the same.
        """
        outputs = graph.output_names
        for old in self.names:
            if old not in (*inputs, *outputs):
                raise OptionsError(f"--rename {old}=…: the inputs are {list(inputs)}, the outputs {list(outputs)}")
        renamed = replace(graph, outputs=self._renamed(graph.outputs))
        every = [*renamed.input_names, *renamed.output_names]
        twice = sorted({name for name in every if every.count(name) > 1} & set(self.names.values()))
        if twice:
            raise OptionsError(f"--rename: several inputs or outputs would be called {', '.join(map(repr, twice))}")
        return renamed

    def _renamed(self, specs: tuple[TensorInfo, ...]) -> tuple[TensorInfo, ...]:
        return tuple(replace(spec, name=self.names.get(spec.name, spec.name)) for spec in specs)
