"""`--batching_parameters_file`, as TensorFlow Serving reads it."""

from pathlib import Path

import pytest

from foldserve_server.config.parse_flags import parse
from foldserve_server.errors import CannotStart

FILE = """
max_batch_size { value: 32 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: 8 }
thread_pool_name { value: "pool" }
allowed_batch_sizes: 1
allowed_batch_sizes: 8
allowed_batch_sizes: 32
pad_variable_length_inputs: true
"""


def written(path: Path, content: str = FILE) -> str:
    file = path / "batching.config"
    file.write_text(content)
    return f"--batching_parameters_file={file}"


def test_what_has_a_meaning_here_is_taken_and_what_has_none_is_named(tmp_path: Path) -> None:
    command = parse(["models", "--enable_batching=true", written(tmp_path)])
    engine = command.options.engine
    assert (engine.max_batch_size, engine.batch_timeout_micros, engine.max_queue_rows) == (32, 2000, 3200)
    assert engine.allowed_batch_sizes == (1, 8, 32)
    names = ("num_batch_threads", "thread_pool_name", "pad_variable_length_inputs")
    assert len(command.warnings) == 3
    assert all(any(name in warning for warning in command.warnings) for name in names)


def test_what_it_leaves_open_is_as_the_flags_say(tmp_path: Path) -> None:
    engine = parse(
        ["models", "--batch_timeout_micros=7", written(tmp_path, "max_batch_size { value: 16 }")]
    ).options.engine
    assert (engine.max_batch_size, engine.batch_timeout_micros, engine.allowed_batch_sizes) == (16, 7, ())


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        (
            "max_batch_size { value: 4 } allowed_batch_sizes: 1 allowed_batch_sizes: 8",
            [],
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 8; expected 4",
        ),
        ("allowed_batch_sizes: 8 allowed_batch_sizes: 1", [], "allowed_batch_sizes must rise"),
        ("max_batch_size { value: 0 }", [], "max_batch_size must be 1 at least, received 0"),
        ("batch_timeout_micros { value: -1 }", [], "batch_timeout_micros must be 0 at least"),
        ("max_batch { value: 4 }", [], "has no field named"),
        ("max_batch_size { value: 4 }", ["--max_batch_size=8"], "--max_batch_size and --batching_parameters_file say"),
        ("max_batch_size { value: 4 }", ["--enable_batching=false"], "has no meaning with --enable_batching=false"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, content: str, words: list[str], message: str) -> None:
    with pytest.raises(CannotStart, match=message):
        parse(["models", written(tmp_path, content), *words])


def test_without_batching_every_request_is_computed_alone() -> None:
    assert parse(["models"]).options.engine.together
    assert not parse(["models", "--enable_batching=false"]).options.engine.together
