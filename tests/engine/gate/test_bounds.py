from dataclasses import replace
from pathlib import Path

import pytest

from foldserve_contract.bundle import Bundle
from foldserve_contract.manifest import Manifest
from foldserve_engine.device import Device
from foldserve_engine.errors import PrecisionNotPromised
from foldserve_engine.gate.bounds import golden_bounds
from foldserve_engine.spec import EngineKind
from tests.bundles import make_bundle, two_headed_model

GPU = Device.parse("cuda:0")
ONNX = EngineKind.ONNXRUNTIME


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Bundle.open(make_bundle(tmp_path, model=two_headed_model())).manifest


def promising(manifest: Manifest, **values: float) -> Manifest:
    tolerances = {name: replace(item, tf32=values.get(name)) for name, item in manifest.tolerances.items()}
    return replace(manifest, tolerances=tolerances)


def test_a_gpu_must_keep_what_is_promised_of_every_machine(manifest: Manifest) -> None:
    bounds = golden_bounds(promising(manifest, joined=0.5, product=0.25), ONNX, GPU)
    assert bounds == {name: item.promised for name, item in manifest.tolerances.items()}


def test_with_tf32_it_must_keep_what_is_promised_of_tf32(manifest: Manifest) -> None:
    promised = promising(manifest, joined=0.5, product=0.25)
    assert golden_bounds(promised, ONNX, GPU, tf32=True) == {"joined": 0.5, "product": 0.25}


@pytest.mark.parametrize(
    ("promised", "missing"), [({}, r"\['joined', 'product'\]"), ({"product": 0.25}, r"\['joined'\]")]
)
def test_tf32_without_a_promise_is_refused_by_name(
    manifest: Manifest, promised: dict[str, float], missing: str
) -> None:
    with pytest.raises(PrecisionNotPromised, match=rf"promises nothing for it \(outputs {missing}\)"):
        golden_bounds(promising(manifest, **promised), ONNX, GPU, tf32=True)


def test_a_cpu_has_no_tf32(manifest: Manifest) -> None:
    with pytest.raises(PrecisionNotPromised, match="a CPU has none"):
        golden_bounds(promising(manifest, joined=0.5, product=0.25), ONNX, Device(), tf32=True)


def test_the_promise_is_kept_in_the_manifest(manifest: Manifest) -> None:
    promised = promising(manifest, joined=0.5)
    assert Manifest.from_bytes(promised.to_bytes()) == promised
