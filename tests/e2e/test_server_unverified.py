"""A folder as TensorFlow Serving has it, without a manifest."""

from pathlib import Path

import numpy as np
import pytest

from foldserve_contract.protos import PredictionLog
from foldserve_contract.signature import Array
from foldserve_contract.tensors import encode_into
from foldserve_engine.worker.warmup import FILE
from tests.bundles import dense_model, make_bundle
from tests.server.running import running

AVAILABLE, END = 30, 50


def write_records(path: Path, *requests: Array) -> None:
    """Warmup records as TensorFlow Serving reads them."""
    import tensorflow as tf  # slow, and already there: it wrote the SavedModel

    (path / FILE).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path / FILE)) as writer:
        for rows in requests:
            log = PredictionLog()
            encode_into(log.predict_log.request.inputs["features"], rows)
            writer.write(log.SerializeToString())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A repository with a plain SavedModel, and the bundle that it was."""
    root, aside = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("bundles")
    bundle = make_bundle(aside, "d", 1, model=dense_model(), saved_model=True)
    plain = root / "d" / "1"
    plain.parent.mkdir()
    bundle.rename(plain)
    write_records(plain, np.ones((3, 4), np.float32), np.ones((1, 4), np.float32))
    for name in ("bundle.json", "golden.npz", "model.onnx"):
        (plain / name).unlink()
    return root, plain


def test_it_is_served_only_where_that_is_allowed_and_its_status_says_so(models: tuple[Path, Path]) -> None:
    root, plain = models
    with running(root) as server:
        assert ": nothing yet" in server.ready
        server.wait_for_log("holds no bundle")
        server.wait_for_log(f"{plain} has no bundle.json; --allow-unverified serves plain SavedModels")
    flags = ("--allow-unverified", "--allowed_batch_sizes=1,4", "--load-timeout=100")
    with running(root, *flags) as server:
        server.wait_for_log("d/1: serving (tensorflow, unverified;")
        server.wait_for_log("2 warmup records were replayed")
        state, reason = server.states("d")[1]
        assert state == AVAILABLE and reason.startswith("it is served unverified: it has no bundle.json")
        features = np.random.default_rng(3).normal(size=(3, 4)).astype(np.float32)
        weights = {item.name: item for item in dense_model().graph.initializer}
        kernel = np.frombuffer(weights["kernel"].raw_data, np.float32).reshape(4, 3)
        bias = np.frombuffer(weights["bias"].raw_data, np.float32)
        np.testing.assert_allclose(server.predict("d", features=features)["scores"], features @ kernel + bias, 1e-5)
        before = server.states("d")
        (plain / "saved_model.pb").write_bytes(b"no graph at all")
        server.wait_for_log("d/1: refused")
        assert server.states("d")[1][0] == before[1][0], "what serves goes on"
        assert "its replacement was refused: TensorFlow refuses the SavedModel" in server.states("d")[1][1]
        assert server.predict("d", features=features)["scores"].shape == (3, 3)
