"""`--model_config_file`, at the start and when it changes."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from foldserve_server.config.config_watch import ConfigWatch
from foldserve_server.config.parse_flags import parse
from foldserve_server.config.tf_serving_files.model_server_config import read_models
from foldserve_server.errors import CannotStart, ReloadFailed
from foldserve_server.models.model_config import Latest, ModelConfig, Specific
from foldserve_server.repository.source import ListedSource

TWO = """
# two models
model_config_list {
  config { name: "a" base_path: "/models/a" model_platform: "tensorflow" }
  config: {
    name: "b", base_path: "/more/b",
    model_version_policy { specific { versions: 4 } }
    version_labels { key: "stable" value: 4 }
  }
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "models.config"
    path.write_text(TWO)
    return path


def test_the_models_of_the_file_are_served(file: Path) -> None:
    options = parse([f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=5"]).options
    assert options.source == ListedSource(
        (
            ModelConfig("a", Path("/models/a"), Latest(1)),
            ModelConfig("b", Path("/more/b"), Specific(frozenset({4})), {"stable": 4}),
        ),
        str(file),
    )
    assert (options.config_file, options.config_poll_s) == (file, 5.0)


def test_callers_may_have_served_what_lies_beside_the_models_given(file: Path) -> None:
    assert parse([f"--model_config_file={file}"]).options.roots == (Path("/models"), Path("/more"))
    assert parse(["/models"]).options.roots == (Path("/models"),)
    assert parse(["--model_base_path=/models/a"]).options.roots == (Path("/models"),)
    assert parse(["--model_base_path=/a"]).options.roots == (Path("/a"),), "not the whole disk"
    assert parse(["/models", "--allowed-roots=/x,/y"]).options.roots == (Path("/x"), Path("/y"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["models"], "--model_config_file and MODELS_DIR are two ways"),
        (["--model_base_path=/x"], "--model_config_file and --model_base_path are two ways"),
        (["--allowed-roots=/models"], "base_path /more/b of model b is not under --allowed-roots"),
    ],
)
def test_what_contradicts_the_file_is_refused(file: Path, words: list[str], message: str) -> None:
    with pytest.raises(CannotStart, match=message):
        parse([f"--model_config_file={file}", *words])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("model_config_list { confog {} }", r"is not a tensorflow.serving.ModelServerConfig in text format: 1:\d+"),
        ('model_config_list { config { name: "a" base_path: "rel" } }', "Expected model a to have an absolute path"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "models.config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CannotStart, match=message) as caught:
        parse([f"--model_config_file={path}"])
    assert str(path) in str(caught.value)


async def test_the_file_is_applied_when_it_was_written_and_not_before(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    applied: list[list[str]] = []

    async def reload(models: Sequence[ModelConfig], origin: str) -> None:
        applied.append([model.name for model in models])
        if "bad" in applied[-1]:
            raise ReloadFailed({"bad": "it is spoiled"})

    watch = ConfigWatch(file, read_models, reload)
    await watch.check()
    assert not applied
    file.write_text('model_config_list { config { name: "bad" base_path: "/x" } }')
    await watch.check()
    await watch.check()
    assert applied == [["bad"]] and "it is spoiled" in caplog.text, "once, until it changes again"
    file.write_text("no such thing")
    await watch.check()
    assert len(applied) == 1 and "in text format" in caplog.text
    file.write_text(TWO)
    await watch.check()
    os.utime(file, ns=(1, 1))
    await watch.check()
    assert applied[1:] == [["a", "b"], ["a", "b"]], "touching the file has it tried again"
    file.unlink()
    await watch.check()


def test_each_model_may_have_its_engine() -> None:
    engine = parse(["models", "--engine=tensorflow", "--engine", "a=onnx"]).options.engine
    assert engine.choice == "tensorflow" and engine.choices == {"a": "onnx"}
