"""TensorFlow takes seconds to import, so it is imported once, in a process of its own, by `tensorflow_checks.py`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = Path(__file__).with_name("tensorflow_checks.py")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    path = tmp_path_factory.mktemp("models")
    bundle = _bundle(path)
    done = subprocess.run([sys.executable, str(CHECKS), str(bundle)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _bundle(root: Path) -> Path:
    make = f"""
from pathlib import Path
from tests.bundles import dense_model, make_bundle
print(make_bundle(Path({str(root)!r}), model=dense_model(), saved_model=True))
"""
    done = subprocess.run(
        [sys.executable, "-c", make], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    return Path(done.stdout.splitlines()[-1])


def test_both_engines_give_the_golden_answers(results: dict[str, object]) -> None:
    assert results["golden"] == {"onnxruntime": True, "tensorflow": True}


def test_the_model_lives_as_long_as_the_engine(results: dict[str, object]) -> None:
    assert results["after collection"] == [3, 3]


def test_what_tensorflow_cannot_compute_is_a_named_error(results: dict[str, object]) -> None:
    assert results["wrong shape"] == "RunFailed"


def test_a_saved_model_with_another_signature_is_refused(results: dict[str, object]) -> None:
    assert results["wrong dtype"] == "SignatureMismatch"
    assert results["wrong name"] == "SignatureMismatch"


def test_a_gpu_that_is_not_there_is_an_error_and_never_the_cpu(results: dict[str, object]) -> None:
    assert results["device"] == "DeviceNotFound"


def test_a_directory_that_holds_no_saved_model_is_refused(results: dict[str, object]) -> None:
    assert results["no model"] == "ArtifactUnusable"


def test_files_that_change_while_tensorflow_reads_them_are_found(results: dict[str, object]) -> None:
    assert results["changed"] == "DigestMismatch"
