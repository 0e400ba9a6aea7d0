"""Custom modules are found in the working directory, and code runs only when it is trusted."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from foldserve_contract.signature import Signature, TensorSpec
from foldserve_exporter.errors import CannotLoad, Refused
from foldserve_exporter.load.loader import load_model
from foldserve_exporter.samples.rows import choose_rows
from foldserve_exporter.verify.job import VerificationJob
from foldserve_exporter.verify.reference import Reference
from foldserve_exporter.verify.verifier import Verifier

SHOP = """
import keras

def build():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="head")], name="shop")

def number():
    return 3

def broken():
    raise RuntimeError("no database")
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "shop_models.py").write_text(SHOP)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shop_models", raising=False)
    return "shop_models"


def test_a_function_is_called_for_its_model_only_when_code_is_trusted(shop: str) -> None:
    with pytest.raises(Refused, match=r"shop_models:build.*--trust-code"):
        load_model(Path(f"{shop}:build"))
    assert shop not in sys.modules
    loaded = load_model(Path(f"{shop}:build"), trust_code=True)
    assert (loaded.model.name, loaded.source.file, loaded.modules) == ("shop", "shop_models:build", (shop,))
    assert len(loaded.source.sha256) == 64


def test_a_function_that_does_not_return_a_model_is_named(shop: str) -> None:
    wrong = {"number": "gave a int", "broken": "RuntimeError: no database", "absent": "has no function"}
    for name, message in wrong.items():
        with pytest.raises(CannotLoad, match=rf"{shop}:{name}.*{message}"):
            load_model(Path(f"{shop}:{name}"), trust_code=True)
    with pytest.raises(CannotLoad, match="no_such_module"):
        load_model(Path("no_such_module.models:build"), trust_code=True)


def test_a_file_with_a_colon_in_its_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop:build").write_text("no model")
    with pytest.raises(CannotLoad, match="ending"):
        load_model(Path("shop:build"), trust_code=True)


def test_naming_a_module_allows_its_classes_and_no_others(shop: str, tmp_path: Path) -> None:
    twice = keras.layers.Lambda(lambda x: x * 2, name="twice", output_shape=(4,))
    keras.Sequential([keras.Input((4,)), twice]).save(tmp_path / "lambda.keras")
    with pytest.raises(Refused, match=r"'twice'.*--trust-code"):
        load_model(tmp_path / "lambda.keras", custom_objects=(shop,))


def test_a_new_process_gets_the_module_search_path(shop: str, tmp_path: Path) -> None:
    rows = choose_rows({"x": np.random.default_rng(0).normal(size=(40, 2)).astype("f")}, 4, 0)
    signature = Signature((TensorSpec("x", "float32", (-1, 2)),), (TensorSpec("y", "float32", (-1, 2)),))
    Verifier(Reference({}, {}, {}), rows, signature, (shop,)).start((), (), tmp_path / "job")
    assert str(tmp_path) in VerificationJob.read(tmp_path / "job").search
    Verifier(Reference({}, {}, {}), rows, signature).start((), (), tmp_path / "plain")
    assert VerificationJob.read(tmp_path / "plain").search == ()


def test_a_command_finds_modules_where_it_is_run(shop: str, tmp_path: Path) -> None:
    script = tmp_path / "bin" / "command.py"  # a console script lies elsewhere, and Python looks beside it
    script.parent.mkdir()
    script.write_text(
        "from foldserve_exporter.load.modules import import_modules, search_working_directory\n"
        f"search_working_directory()\nimport_modules(['{shop}'])\nprint('found')\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "found\n", done.stderr
