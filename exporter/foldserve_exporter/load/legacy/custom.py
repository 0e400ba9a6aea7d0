"""Custom objects of a Keras 2 file: what tf-keras and Keras 3 make of a name in it that neither has."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from ..modules import class_of, defined_objects, given_objects
from .stock_layers import stock_layers

_OWN_COMPUTATION = frozenset({"call", "build", "__call__"})


@dataclass(frozen=True, slots=True, eq=False)
class CustomObjects:
    """Custom classes and functions by the names that a file may have for them.

    Attributes:
        old: The class or function that tf-keras makes a layer of.
        new: Its counterpart in Keras 3, under the same name.
        lacking: Names of classes that one of the two lacks, and what is lacking.
    """

    old: Mapping[str, Any] = field(default_factory=dict)
    new: Mapping[str, Any] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)

    def find(self, *spellings: Any) -> str | None:
        """The name under which an object is here: as it is spelled, or without its package (`package>Name`)."""
        names = [str(spelling) for spelling in spellings if spelling]
        return next((name for name in (*names, *map(bare, names)) if name in self.old), None)

    def what_lacks(self, *spellings: Any) -> str | None:
        """What is lacking for an object of this name, in words; None where nothing of it is here."""
        names = [str(spelling) for spelling in spellings if spelling]
        return next((self.lacking[name] for name in (*names, *map(bare, names)) if name in self.lacking), None)

    def counterpart(self, kind: Any) -> Any | None:
        """The class or function of Keras 3 that stands for one of tf-keras; None where it is not custom."""
        return next((self.new[name] for name, value in self.old.items() if value is kind), None)


def bare(name: str) -> str:
    """A name without the package that it is registered in: `Name` of `package>Name`."""
    return name.rsplit(">", 1)[-1]


def custom_objects(entries: Sequence[str]) -> CustomObjects:
    """The custom objects of imported modules and of `NAME=package.module:object`, and what their modules registered.

    A class of one of the two Kerases that leaves ``call`` and ``build`` as they are in a layer that both have needs no
    counterpart: that layer stands for it. Only an object that is given a stock layer's name stands for that.
    """
    if not entries:
        return CustomObjects()
    import tf_keras

    old: dict[str, Any] = {}
    new: dict[str, Any] = {}
    registered = (*tf_keras.saving.get_custom_objects().items(), *keras.saving.get_custom_objects().items())
    defined = [pair for pair in _spelled((*registered, *defined_objects(entries))) if pair[0] not in stock_layers()]
    for name, value in (*defined, *given_objects(entries)):
        library = class_of(value)
        if library != "keras":
            old[name] = value
        if library != "tf_keras":
            new[name] = value
    old |= {name: _named(name, base) for name in new.keys() - old.keys() if (base := _stock(new[name], tf_keras))}
    new |= {name: base for name in old.keys() - new.keys() if (base := _stock(old[name], keras))}
    lacking = {name: _lacks(name, old[name], "Keras 3") for name in old.keys() - new.keys()}
    lacking |= {name: _lacks(name, new[name], "tf_keras") for name in new.keys() - old.keys()}
    both = old.keys() & new.keys()
    return CustomObjects({name: old[name] for name in both}, {name: new[name] for name in both}, lacking)


def _spelled(items: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The objects by their names and, before them, by their names without a package."""
    given = list(items)
    return [(bare(name), value) for name, value in given if ">" in name] + given


def _stock(kind: Any, library: Any) -> Any | None:
    """The layer of a library that a class computes as: the one named as its nearest stock base, or None."""
    for base in kind.__mro__ if isinstance(kind, type) else ():
        if base.__module__.split(".")[0] in ("keras", "tf_keras"):
            stock = getattr(library.layers, base.__name__, None)
            return None if base.__name__ == "Layer" else stock
        if vars(base).keys() & _OWN_COMPUTATION:
            return None
    return None


def _named(name: str, base: Any) -> Any:
    return type(bare(name), (base,), {})


def _lacks(name: str, given: Any, library: str) -> str:
    return (
        f"Of yours, {given.__module__}.{given.__qualname__} alone is given for it; give its counterpart for {library}"
        f" as well, with --custom-objects '{bare(name)}=package.module:object'"
    )
