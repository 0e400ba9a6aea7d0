"""Checks of the TensorFlow engine for `test_tensorflow_engine.py`, answered as one line of JSON."""

import gc
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from foldserve_contract.bundle import Bundle
from foldserve_contract.errors import FoldserveError
from foldserve_contract.signature import Signature, TensorSpec
from foldserve_engine.device import Device
from foldserve_engine.gate.bounds import golden_bounds
from foldserve_engine.gate.golden_check import check_golden
from foldserve_engine.load import load_engine
from foldserve_engine.spec import EngineKind, EngineSpec
from foldserve_engine.tensorflow_engine import TensorFlowEngine


def error_of(action: Callable[[], Any]) -> str | None:
    try:
        action()
    except FoldserveError as error:
        return type(error).__name__
    return None


def goldens(bundle: Bundle) -> dict[str, bool]:
    return {
        kind.value: check_golden(
            load_engine(bundle, kind), bundle.golden(), golden_bounds(bundle.manifest, kind, Device()), 4
        ).passed
        for kind in EngineKind
    }


def with_input(signature: Signature, spec: TensorSpec) -> Signature:
    return replace(signature, inputs=(spec,))


def changed_while_loading(bundle: Bundle) -> str | None:
    (bundle.path / "extra").write_text("came later")
    return error_of(lambda: load_engine(bundle, EngineKind.TENSORFLOW))


def main(path: Path) -> dict[str, Any]:
    bundle = Bundle.open(path)
    signature = bundle.manifest.signature
    results: dict[str, Any] = {"golden": goldens(bundle)}
    engine = TensorFlowEngine.from_directory(path, signature, EngineSpec(optimise=True))
    gc.collect()
    results["after collection"] = list(engine.run({"features": np.zeros((3, 4), np.float32)})["scores"].shape)
    results["wrong shape"] = error_of(lambda: engine.run({"features": np.zeros((3, 5), np.float32)}))
    for what, spec in (
        ("wrong dtype", TensorSpec("features", "float64", (-1, 4))),
        ("wrong name", TensorSpec("other", "float32", (-1, 4))),
    ):
        wrong = with_input(signature, spec)
        results[what] = error_of(partial(TensorFlowEngine.from_directory, path, wrong))
    gpu = EngineSpec(device="cuda:7")
    results["device"] = error_of(lambda: TensorFlowEngine.from_directory(path, signature, gpu))
    results["no model"] = error_of(lambda: TensorFlowEngine.from_directory(path.parent, signature))
    results["changed"] = changed_while_loading(bundle)
    return results


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
