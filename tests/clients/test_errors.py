import inspect
import pickle
import re

import pytest

import foldserve
from foldserve import AsyncClient, Client, Status, errors


def test_all_lists_exactly_the_public_names() -> None:
    public = {name for name in vars(foldserve) if not name.startswith("_")}
    submodules = {name for name in public if inspect.ismodule(getattr(foldserve, name))} - {"errors"}
    assert set(foldserve.__all__) == public - submodules
    assert list(foldserve.__all__) == sorted(foldserve.__all__)


def test_the_docstring_draws_the_tree_of_errors() -> None:
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").split("```")[1].strip().splitlines():
        indent, name = re.match(r"([│├└─ ]*)(\w+)", line).groups()  # type: ignore[union-attr]
        above = [*above[: len(indent) // 4], name]
        drawn[name] = above[-2] if len(above) > 1 else "Exception"
    kinds = {name: kind for name in errors.__all__ if inspect.isclass(kind := getattr(errors, name))}
    assert drawn == {name: kind.__bases__[0].__name__ for name, kind in kinds.items()}


def test_every_public_error_is_in_all() -> None:
    defined = {name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}
    assert defined <= set(errors.__all__)


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.OK}))
def test_a_server_error_keeps_status_and_message_when_pickled(status: Status) -> None:
    error = errors.server_error(status, "the reason")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.status, again.message) == (type(error), status, "the reason")
    assert str(again) == f"{status.name}: the reason"


def test_both_clients_take_the_same_arguments() -> None:
    def surface(kind: type) -> dict[str, list[tuple[str, object, object]]]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {
            name: [(p.name, p.default, p.kind) for p in inspect.signature(method).parameters.values()]
            for name, method in methods
            if name == "__init__" or not name.startswith("_")
        }

    assert surface(Client) == surface(AsyncClient)
