from dataclasses import dataclass
from pathlib import Path

import pytest

from foldserve_contract.records import RecordError, from_json, to_json


@dataclass(frozen=True)
class Circle:
    radius: float


@dataclass(frozen=True)
class Square:
    side: float


@dataclass(frozen=True)
class Drawing:
    shape: Circle | Square
    folder: Path
    layers: frozenset[int]
    background: Square | None = None
    frame: Circle | Square | None = None


DRAWING = Drawing(Square(2.0), Path("/a/b"), frozenset({3, 1}), Square(1.0), None)


def test_one_of_several_dataclasses_a_path_and_a_set_come_back_unchanged() -> None:
    for drawing in (DRAWING, Drawing(Circle(1.5), Path("c"), frozenset(), None, Circle(2.5))):
        assert from_json(Drawing, to_json(drawing)) == drawing


def test_only_a_field_of_several_dataclasses_has_a_tag() -> None:
    assert to_json(DRAWING) == {
        "shape": {"type": "Square", "side": 2.0},
        "folder": "/a/b",
        "layers": [1, 3],
        "background": {"side": 1.0},
        "frame": None,
    }


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("shape", {"side": 2.0}, r"shape\.type: expected one of \['Circle', 'Square'\], received None"),
        ("shape", {"type": "Drawing", "side": 2.0}, "expected one of"),
        ("shape", {"type": "Circle", "side": 2.0}, "missing fields"),
        ("shape", None, "expected dict"),
        ("folder", 7, "folder: expected str, received 7"),
        ("layers", [1, "2"], r"layers\[1\]: expected int"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_path(field: str, value: object, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        from_json(Drawing, {**to_json(DRAWING), field: value})
