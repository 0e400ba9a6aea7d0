"""Flags declared by the fields of a record."""

import argparse
from dataclasses import dataclass, field

import pytest

from foldserve.predict.flags import add_flags, build, environment, flag, positional


@dataclass(frozen=True)
class Inner:
    keep: bool = field(default=True, metadata=flag("--drop", group="inner", help="turn it off"))


@dataclass(frozen=True)
class Outer:
    path: str = field(metadata=positional(metavar="PATH", help="a path", convert=str.upper))
    rows: int = field(default=3, metadata=flag("-r", "--rows", type=int, help="rows (%(default)s)"))
    names: tuple[str, ...] = field(default=(), metadata=flag("--name", action="append", convert=tuple, help="names"))
    inner: Inner = field(default_factory=Inner)
    secret: str | None = field(default=None, metadata=environment("OUTER_SECRET"))


def parse(*arguments: str) -> Outer:
    parser = argparse.ArgumentParser("outer")
    add_flags(parser, Outer, descriptions={"inner": "About the inner record."})
    return build(Outer, parser.parse_args(arguments))


def test_an_omitted_flag_leaves_the_default_of_the_field() -> None:
    assert parse("a") == Outer("A", 3, (), Inner(True), None)


def test_values_reach_the_record_and_the_records_within_it() -> None:
    assert parse("a", "-r", "7", "--name", "x", "--name", "y", "--drop") == Outer(
        "A", 7, ("x", "y"), Inner(False), None
    )


def test_an_environment_variable_sets_its_field_unless_it_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER_SECRET", "word")
    assert parse("a").secret == "word"
    monkeypatch.setenv("OUTER_SECRET", "")
    assert parse("a").secret is None


def test_help_lists_groups_with_their_descriptions_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    page = capsys.readouterr().out
    assert "rows (3)" in page
    assert page.index("inner:") < page.index("About the inner record.") < page.index("turn it off")
