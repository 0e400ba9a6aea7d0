"""Class names are read in the usual formats, or refused with a message."""

from pathlib import Path

import pytest

from foldserve_exporter.class_names import read_class_names
from foldserve_exporter.options import OptionsError

WRITTEN = {
    "a.txt": (b"cat\ndog\n", b"\xef\xbb\xbfcat\r\n dog \r\n"),
    "a.json": (b'["cat", "dog"]', b'\xef\xbb\xbf["cat","dog"]'),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_name_a_line_or_a_list_also_behind_the_mark_that_windows_puts_first(name: str, tmp_path: Path) -> None:
    for content in WRITTEN[name]:
        (tmp_path / name).write_bytes(content)
        assert read_class_names(tmp_path / name) == ("cat", "dog")


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", b""), ("a.txt", b"cat\n\ndog"), ("a.json", b'{"0": "cat"}'), ("a.json", b'["cat"')]
)
def test_what_is_no_list_of_names_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OptionsError, match=name):
        read_class_names(tmp_path / name)
