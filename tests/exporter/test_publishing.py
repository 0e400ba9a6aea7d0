"""Files beside a version are there whole, or not at all."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig

from foldserve_contract.dtypes import DTYPES
from foldserve_contract.signature import Signature, TensorSpec
from foldserve_exporter.emit.triton import config_text, published_config
from foldserve_exporter.output_files import write_whole
from foldserve_server.open_inference.datatypes import BY_DTYPE

SIGNATURE = Signature(
    (TensorSpec("image", "uint8", (-1, 8, -1, 3)),),
    (TensorSpec("regression", "float32", (-1,)), TensorSpec("classification", "float16", (-1, 3))),
)


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    path = tmp_path / "flowers" / ".staging-1-0"
    path.mkdir(parents=True)
    return path


def test_triton_is_told_before_the_version_is_there(staging: Path) -> None:
    with published_config(staging, 1, "flowers", SIGNATURE, 16):
        assert "max_batch_size: 16" in (staging.parent / "config.pbtxt").read_text()
        assert list(staging.iterdir()) == []
    assert (staging.parent / "config.pbtxt").exists()


def test_a_version_that_cannot_be_published_leaves_no_configuration(staging: Path) -> None:
    with pytest.raises(OSError, match="full"), published_config(staging, 1, "flowers", SIGNATURE, 16):
        raise OSError("the disk is full")
    assert [path.name for path in staging.parent.iterdir()] == [staging.name]


def test_a_configuration_that_is_there_is_left_alone(staging: Path) -> None:
    (staging.parent / "config.pbtxt").write_text("tuned")
    with pytest.raises(OSError, match="full"), published_config(staging, 1, "flowers", SIGNATURE, 16):
        raise OSError("the disk is full")
    assert (staging.parent / "config.pbtxt").read_text() == "tuned"


def test_the_configuration_lists_inputs_and_outputs_in_the_models_order() -> None:
    config = text_format.Parse(config_text("flowers", SIGNATURE, 16), ModelConfig())
    assert [(tensor.name, tensor.data_type, list(tensor.dims)) for tensor in config.input] == [
        ("image", DataType.Value("TYPE_UINT8"), [8, -1, 3])
    ]
    assert [(tensor.name, tensor.data_type, list(tensor.dims)) for tensor in config.output] == [
        ("regression", DataType.Value("TYPE_FP32"), [1]),  # Triton wants a dimension, and takes it away again
        ("classification", DataType.Value("TYPE_FP16"), [3]),
    ]
    assert config.output[0].HasField("reshape") and not config.output[0].reshape.shape
    assert not config.output[1].HasField("reshape")


def test_tritons_message_reads_every_dtype_that_a_bundle_may_have() -> None:
    inputs = tuple(TensorSpec(f"x_{dtype.name}", dtype.name, (-1, 2)) for dtype in DTYPES)
    config = text_format.Parse(config_text("all", replace(SIGNATURE, inputs=inputs), 1), ModelConfig())
    kinds = [DataType.Name(tensor.data_type).removeprefix("TYPE_") for tensor in config.input]
    assert kinds == [BY_DTYPE[dtype.name].name for dtype in DTYPES]


def test_a_configuration_that_nobody_changed_follows_the_next_version(staging: Path) -> None:
    path = staging.parent / "config.pbtxt"
    for former in (config_text("flowers", SIGNATURE, 16), 'name: "f"\nbackend: "onnxruntime"\nmax_batch_size: 8\n'):
        path.write_text(former)
        other = replace(SIGNATURE, outputs=SIGNATURE.outputs[::-1])
        with published_config(staging, 1, "flowers", other, 32):
            pass
        assert path.read_text() == config_text("flowers", other, 32)
        path.write_text(former)
        with pytest.raises(OSError, match="full"), published_config(staging, 1, "flowers", other, 32):
            raise OSError("the disk is full")
        assert path.read_text() == former
        (staging.parent / "2").mkdir()
        with published_config(staging, 1, "flowers", other, 32):
            pass
        assert path.read_text() == former, "Triton serves version 2"
        (staging.parent / "2").rmdir()
        path.write_text(former + "instance_group { count: 2 }\n")
        with published_config(staging, 1, "flowers", other, 32):
            pass
        assert path.read_text() == former + "instance_group { count: 2 }\n"


def test_a_page_that_cannot_be_written_is_as_it_was(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(page, "half of it, then \ud800")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]
    page.chmod(0o640)
    write_whole(page, "after")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["after"] and page.stat().st_mode & 0o777 == 0o640


def test_what_standard_output_leads_to_keeps_what_is_in_it(tmp_path: Path) -> None:
    code = """
from pathlib import Path
from foldserve_exporter.output_files import write_whole
print("before", flush=True)
write_whole(Path("/dev/stdout"), "a page\\n")
print("after")
"""
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").read_text().split("\n") == ["before", "a page", "after", ""]
