from pathlib import Path

import pytest

from foldserve_engine.spec import GRAPH_ROWS, EngineKind
from foldserve_server import cli
from foldserve_server.config.options import EngineFlags
from foldserve_server.config.parse_flags import parse
from foldserve_server.engines import launcher
from foldserve_server.engines.launcher import Launcher, choose_shadow
from foldserve_server.engines.serving_engine import one_figure
from foldserve_server.errors import CannotStart
from foldserve_server.repository.source import FolderSource


def test_a_folder_is_all_that_must_be_said() -> None:
    options = parse(["models"]).options
    assert options.source == FolderSource(Path("models").absolute())
    assert (options.host, options.port, options.poll_s, options.grace_s) == ("127.0.0.1", 8500, 1.0, 30.0)
    assert options.engine == EngineFlags()


def test_an_image_may_say_where_the_models_are_unless_flags_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLDSERVE_MODELS", "/models")
    assert parse(["--grace=5"]).options.source == FolderSource(Path("/models"))
    assert parse(["--model_name=digits"]).options.source == FolderSource(Path("/models"), "digits")
    assert parse(["here"]).options.source == FolderSource(Path("here").absolute())
    single = FolderSource(Path("/models/digits"), "digits", single=True)
    assert parse(["--model_name=digits", "--model_base_path=/models/digits"]).options.source == single


def test_the_flags_of_tensorflow_serving_mean_the_same() -> None:
    words = "--port=9000 --model_name=digits --model_base_path=/models/digits --file_system_poll_wait_seconds=0"
    options = parse(words.split()).options
    assert options.source == FolderSource(Path("/models/digits"), "digits", single=True)
    assert (options.port, options.poll_s) == (9000, 0)
    assert not options.transport.tensor_content
    assert parse(["models", "--enable_serialization_as_tensor_content=true"]).options.transport.tensor_content


def test_a_shadow_engine_is_another_one_and_sees_a_share_of_the_requests() -> None:
    message = parse(["models", "--shadow-engine", "tensorflow", "--shadow_share=0.5"]).options.engine
    assert (message.shadow, message.shadow_share) == ("tensorflow", 0.5)
    with pytest.raises(CannotStart, match="both onnx"):
        parse(["models", "--engine=onnx", "--shadow-engine=onnx"])
    with pytest.raises(SystemExit):
        parse(["models", "--shadow-share=0"])


def test_a_shadow_engine_that_is_the_one_that_answers_or_has_no_artifact_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").touch()
    both = EngineFlags(shadow="tensorflow")
    assert choose_shadow(tmp_path, both, EngineKind.TENSORFLOW) is None
    assert choose_shadow(tmp_path, both, EngineKind.ONNXRUNTIME) is None
    (tmp_path / "saved_model.pb").touch()
    assert choose_shadow(tmp_path, both, EngineKind.ONNXRUNTIME) is EngineKind.TENSORFLOW
    assert choose_shadow(tmp_path, EngineFlags(), EngineKind.ONNXRUNTIME) is None


def test_a_name_may_be_written_either_way() -> None:
    message = parse(["models", "--max-batch-size=8", "--drain_delay", "2", "--allowed-batch-sizes=1,8"]).options
    assert message.engine.max_batch_size == 8 and message.engine.allowed_batch_sizes == (1, 8)
    assert message.drain_delay_s == 2


@pytest.mark.parametrize(
    ("words", "expected"), [([], False), (["--reject-nonfinite"], True), (["--reject_nonfinite=false"], False)]
)
def test_a_switch_may_carry_its_value(words: list[str], expected: bool) -> None:
    assert parse(["models", *words]).options.limits.reject_nonfinite is expected


@pytest.mark.parametrize(("word", "expected"), [("1048576", 1 << 20), ("3MiB", 3 << 20), ("1gib", 1 << 30)])
def test_bytes_may_carry_a_unit(word: str, expected: int) -> None:
    assert parse(["models", f"--max-message-bytes={word}"]).options.transport.max_message_bytes == expected


@pytest.mark.parametrize(
    "words",
    [
        ["--port=70000"],
        ["--port=-1"],
        ["--rest_api_port=-2"],
        ["--max_batch_size=0"],
        ["--grace=nan"],
        ["--reject-nonfinite=maybe"],
        ["--allowed_batch_sizes=8,1"],
        ["--max-message-bytes=lots"],
        ["--max-message-bytes=2GiB"],
        ["--no-such-flag"],
    ],
)
def test_what_cannot_be_understood_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["models", *words])
    assert caught.value.code == 2
    assert words[0].partition("=")[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "port"),
    [
        ([], 8501),
        (["--port=9000"], 8501),
        (["--port=0"], 0),
        (["--rest_api_port=0"], None),
        (["--port=0", "--rest_api_port=0"], None),
        (["--rest_api_port=-1"], 0),
        (["--rest-api-port=9001"], 9001),
    ],
)
def test_rest_is_beside_grpc_unless_it_is_switched_off(words: list[str], port: int | None) -> None:
    assert parse(["models", *words]).options.rest_port == port


def test_what_has_no_meaning_here_is_warned_of() -> None:
    (warning,) = parse(["models", "--num_load_threads=4"]).warnings
    assert "--num_load_threads has no meaning here" in warning


def test_what_grpc_is_told_besides_is_passed_on() -> None:
    words = "--grpc_channel_arguments=grpc.max_connection_age_ms=2000,grpc.optimization_target=latency"
    output = parse(["models", words]).options.transport.channel_arguments
    assert output == (("grpc.max_connection_age_ms", 2000), ("grpc.optimization_target", "latency"))
    with pytest.raises(SystemExit):
        parse(["models", "--grpc_channel_arguments=nonsense"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--grpc_channel_arguments=grpc.max_receive_message_length=1"], "--max-message-bytes bounds the requests"),
        (["--grpc_channel_arguments=grpc.so_reuseport=1"], "the port is shared by the front ends of this server"),
        (
            ["--grpc_channel_arguments=grpc.max_connection_age_ms=1", "--max-connection-age=0"],
            "--max-connection-age and --grpc_channel_arguments grpc.max_connection_age_ms have the same meaning",
        ),
        (
            ["--grpc_channel_arguments=grpc.max_concurrent_streams=1", "--max-concurrent-streams=2"],
            "--max-concurrent-streams and --grpc_channel_arguments grpc.max_concurrent_streams have the same meaning",
        ),
    ],
)
def test_a_setting_of_grpc_that_would_have_no_effect_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(CannotStart, match=message):
        parse(["models", *words])


@pytest.mark.parametrize(("word", "host"), [("[::]", "::"), ("[::1]", "::1"), ("::", "::"), ("localhost", "localhost")])
def test_an_ipv6_address_may_stand_in_brackets(word: str, host: str) -> None:
    assert parse(["models", f"--host={word}"]).options.host == host


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("grpc.max_connection_age_ms=1.5e3", "takes a whole number, received '1.5e3'"),
        ("grpc.max_connection_age_ms=99999999999", "takes a whole number from 0 to 2147483647"),
        ("grpc.max_concurrent_streams=-5", "takes a whole number from 0"),
        ("grpc.keepalive_time_ms=", "expected name=value"),
        ("a=1,a=2", "a is given twice"),
    ],
)
def test_a_setting_that_grpc_would_not_take_is_refused(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(["models", f"--grpc_channel_arguments={words}"])
    assert message in capsys.readouterr().err


def test_spaces_around_settings_do_not_count() -> None:
    with pytest.raises(CannotStart, match=r"grpc\.so_reuseport cannot be set here"):
        parse(["models", "--grpc_channel_arguments=grpc.optimization_target=latency , grpc.so_reuseport = 1"])


def test_one_port_for_both_is_refused() -> None:
    with pytest.raises(CannotStart, match="--port and --rest_api_port are both 9500"):
        parse(["models", "--port=9500", "--rest_api_port=9500"])


@pytest.mark.parametrize("word", ["", "[]"])
def test_an_empty_host_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["models", f"--host={word}"])
    assert "expected a host name or an address" in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--version"])
    assert caught.value.code == 0 and capsys.readouterr().out.startswith("serve-model")


def test_tokens_in_the_clear_are_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(f'[[token]]\nname = "a"\nsha256 = "{"0" * 64}"\nmodels = ["*"]\n')
    assert not parse(["models", f"--tokens-file={file}"]).warnings
    (warning,) = parse(["models", f"--tokens-file={file}", "--host=0.0.0.0"]).warnings
    assert "not encrypted" in warning


def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    output = capsys.readouterr().out
    assert "serve-model models/ --port 0" in output
    themes = [
        line
        for line in output.splitlines()
        if line in ("what is served:", "engine and batching:", "logging and monitoring:")
    ]
    assert len(themes) == 3


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    assert cli.main(["models"]) == 2
    assert "pip install 'foldserve[server]'" in capsys.readouterr().err


def test_two_runtimes_over_one_another_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launcher, "folder_of", lambda distribution: Path("/site"))
    assert cli.main(["models"]) == 2
    assert "onnxruntime and onnxruntime-gpu are both installed" in capsys.readouterr().err


def test_settings_no_engine_can_have_are_refused_before_anything_starts() -> None:
    with pytest.raises(CannotStart, match="quantum"):
        Launcher(parse(["models", "--device=quantum"]).options)


def test_tf32_is_a_gpus() -> None:
    assert parse(["models", "--device=cuda:1", "--tf32"]).options.engine.tf32
    Launcher(parse(["models", "--device=cuda:1", "--tf32"]).options)
    with pytest.raises(CannotStart, match="--tf32 has a meaning on a GPU only"):
        Launcher(parse(["models", "--tf32"]).options)


@pytest.mark.parametrize(
    ("words", "rows"), [([], GRAPH_ROWS), (["--cuda-graph-rows=0"], 0), (["--cuda_graph_rows", "32"], 32)]
)
def test_how_large_a_batch_is_replayed_can_be_said(words: list[str], rows: int) -> None:
    assert parse(["models", "--device=cuda:0", *words]).options.engine.graph_rows == rows


@pytest.mark.parametrize(("value", "text"), [(3.21e-8, "3e-8"), (0.0, "0"), (0.02, "0.02"), (1e-10, "1e-10")])
def test_deviations_are_told_in_one_figure(value: float, text: str) -> None:
    assert one_figure(value) == text
