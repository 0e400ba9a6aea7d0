from collections.abc import Callable

import pytest

from foldserve_server.errors import InvalidRequest, ServableNotFound, Unavailable
from foldserve_server.models.query import ModelRef
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.models.servable import Servable, ServableState, ServableStatus
from tests.server.fakes import FakeEngine, serving


def states(table: RoutingTable, name: str = "m") -> list[tuple[int, ServableState]]:
    return [(servable.version, servable.state) for servable in table.status(ModelRef(name))]


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        (ModelRef("other"), "Servable not found for request: Latest(other)"),
        (ModelRef("m", 9), "Servable not found for request: Specific(m, 9)"),
        (ModelRef("m", -1), "Servable not found for request: Specific(m, -1)"),
    ],
)
def test_what_is_not_served_is_not_found(ref: ModelRef, message: str) -> None:
    with pytest.raises(ServableNotFound) as caught:
        serving(FakeEngine()).find(ref)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        (ModelRef(""), "ModelSpec has no name specified."),
        (ModelRef("m", label="canary"), "Unrecognized servable version label: canary"),
    ],
)
def test_a_name_and_no_label_is_what_finds_a_model(ref: ModelRef, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        serving(FakeEngine()).find(ref)
    assert str(caught.value) == message


def test_a_version_is_served_when_it_is_published_and_not_before() -> None:
    table = RoutingTable()
    servable = Servable("m", 3)
    table.begin(servable)
    assert states(table) == [(3, ServableState.LOADING)]
    with pytest.raises(ServableNotFound):
        table.find(ModelRef("m"))
    table.publish(servable, FakeEngine())
    assert table.find(ModelRef("m")) is table.find(ModelRef("m", 3)) is servable


def test_the_version_before_is_still_found_by_its_number_until_it_is_unloaded() -> None:
    table = serving(FakeEngine())
    serving(FakeEngine(), version=2, table=table)
    assert table.find(ModelRef("m")).version == 2
    before = table.find(ModelRef("m", 1))
    table.unload(before)
    with pytest.raises(ServableNotFound):
        table.find(ModelRef("m", 1))
    table.end(before)
    assert states(table) == [(2, ServableState.AVAILABLE), (1, ServableState.END)]


def test_a_reload_under_the_same_number_leaves_what_serves_in_the_list() -> None:
    table = serving(FakeEngine())
    reload = Servable("m", 1)
    table.begin(reload)
    assert states(table) == [(1, ServableState.AVAILABLE)]
    before = table.publish(reload, FakeEngine())
    assert before is not None and before is not table.find(ModelRef("m"))


def test_the_highest_available_version_answers_where_none_is_asked_for() -> None:
    table = serving(FakeEngine(), version=5)
    serving(FakeEngine(), version=3, table=table)
    assert table.find(ModelRef("m")).version == 5 and table.find(ModelRef("m", 3)).version == 3
    table.unload(table.find(ModelRef("m", 5)))
    assert table.find(ModelRef("m")).version == 3


def test_version_0_is_the_default_one_of_a_model_that_has_no_version_0() -> None:
    table = serving(FakeEngine(), version=1)
    serving(FakeEngine(), version=2, table=table)
    assert table.find(ModelRef("m", 0)).version == 2
    assert table.status(ModelRef("m", 0)) == table.status(ModelRef("m"))
    with pytest.raises(ServableNotFound, match="Latest"):
        table.find(ModelRef("other", 0))
    with pytest.raises(ServableNotFound, match="any versions"):
        table.status(ModelRef("other", 0))


def test_version_0_is_itself_where_there_is_one() -> None:
    table = serving(FakeEngine(), version=0)
    serving(FakeEngine(), version=2, table=table)
    assert table.find(ModelRef("m", 0)).version == 0
    assert [item.version for item in table.status(ModelRef("m", 0))] == [0]
    table.unload(table.find(ModelRef("m", 0)))
    with pytest.raises(ServableNotFound, match="Specific"):
        table.find(ModelRef("m", 0))


def test_a_label_finds_the_version_it_stands_for_and_no_other_label_is_left() -> None:
    table = serving(FakeEngine(), version=5)
    serving(FakeEngine(), version=3, table=table)
    table.relabel("m", {"stable": 3, "next": 4})
    assert table.find(ModelRef("m", label="stable")).version == 3
    with pytest.raises(ServableNotFound, match=r"^Servable not found for request: Specific\(m, 4\)$"):
        table.find(ModelRef("m", label="next"))
    table.relabel("m", {"next": 5})
    assert table.find(ModelRef("m", label="next")).version == 5
    with pytest.raises(InvalidRequest, match=r"^Unrecognized servable version label: stable$"):
        table.find(ModelRef("m", label="stable"))


def test_the_status_of_what_was_never_there_is_not_found() -> None:
    table = serving(FakeEngine())
    with pytest.raises(ServableNotFound, match=r"^Could not find version 2 of model m$"):
        table.status(ModelRef("m", 2))
    with pytest.raises(ServableNotFound, match=r"^Could not find any versions of model x$"):
        table.status(ModelRef("x"))


def test_every_change_rings() -> None:
    table = RoutingTable()
    servable = Servable("m", 1)
    changes: list[Callable[[], object]] = [
        lambda: table.begin(servable),
        lambda: table.publish(servable, FakeEngine()),
        lambda: table.unload(servable),
        lambda: table.end(servable),
        lambda: table.relabel("m", {"stable": 1}),
    ]
    for change in changes:
        ticket = table.changes.ticket()
        change()
        assert ticket.is_set()


def test_while_one_version_gives_way_to_another_callers_are_to_come_again() -> None:
    table = RoutingTable()
    first, second = Servable("m", 1), Servable("m", 2)
    table.begin(first)
    with pytest.raises(ServableNotFound):
        table.find(ModelRef("m"))
    table.publish(first, FakeEngine())
    table.unload(first)
    with pytest.raises(ServableNotFound):
        table.find(ModelRef("m"))
    table.begin(second)
    for ref in (ModelRef("m"), ModelRef("m", 1)):
        with pytest.raises(Unavailable, match="in the place of another"):
            table.find(ref)
    table.publish(second, FakeEngine())
    assert table.find(ModelRef("m")) is second
    with pytest.raises(ServableNotFound):
        table.find(ModelRef("m", 1))


def test_a_table_that_is_taken_over_tells_the_same_of_a_version_that_gives_way() -> None:
    table, first, second = RoutingTable(), Servable("m", 1), Servable("m", 2)
    serves = ServableStatus(ServableState.AVAILABLE, engine=FakeEngine())
    leaves, loads = ServableStatus(ServableState.UNLOADING), ServableStatus(ServableState.LOADING)
    table.adopt({"m": {1: (first, serves)}}, {}, ["m"], {})
    assert table.find(ModelRef("m")) is first
    table.adopt({"m": {1: (first, leaves), 2: (second, loads)}}, {}, ["m"], {})
    with pytest.raises(Unavailable, match="in the place of another"):
        table.find(ModelRef("m"))
    table.adopt({"m": {1: (first, leaves)}}, {}, ["m"], {})
    with pytest.raises(ServableNotFound):
        table.find(ModelRef("m"))
