"""`predict-model` from its arguments to its file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldserve.predict.cli import main

from .fake_server import ModelServer, Refusal, times
from .files import load

ROWS = np.random.default_rng(3).normal(size=(50, 3)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", ROWS)
    return tmp_path


def predict(server: ModelServer, *arguments: str, model: str = "double") -> int:
    return main([f"{server.target}/{model}", *arguments])


def failures(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(f"{out}.errors.jsonl").read_text().splitlines()]


def test_rows_come_back_in_order_with_their_files(server: ModelServer, folder: Path) -> None:
    np.save("more.npy", ROWS[:7] + 1)
    assert predict(server, "rows.npy", "more.npy", "-o", "out.npz", "--batch", "8") == 0
    out = load("out.npz")
    assert set(out) == {"y", "row_ok", "input_names", "input_rows", "model_name", "model_version"}
    np.testing.assert_array_equal(out["y"], np.concatenate([ROWS, ROWS[:7] + 1]) * 2)
    assert out["row_ok"].shape == (57,) and out["row_ok"].all()
    assert out["input_names"].tolist() == ["rows.npy", "more.npy"]
    assert out["input_rows"].tolist() == [50, 7]
    assert (str(out["model_name"]), int(out["model_version"])) == ("double", 1)
    assert sorted(path.name for path in folder.iterdir()) == ["more.npy", "out.npz", "rows.npy"]


def test_a_single_output_fits_into_npy(server: ModelServer, folder: Path) -> None:
    assert predict(server, "rows.npy", "-o", "out.npy") == 0
    np.testing.assert_array_equal(np.load("out.npy"), ROWS * 2)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_holds_one_array_for_each_input(server: ModelServer, folder: Path, save: Any) -> None:
    a, b = ROWS[:, :2], ROWS[:, 1:].copy()
    save("in.npz", a=a.copy(), b=b)
    assert predict(server, "in.npz", "-o", "out.npz", "--batch", "8", model="pair") == 0
    out = load("out.npz")
    np.testing.assert_array_equal(out["sum"], a + b)
    np.testing.assert_array_equal(out["difference"], a - b)
    assert predict(server, "in.npz", "-o", "sum.npy", "--output", "sum", model="pair") == 0
    np.testing.assert_array_equal(np.load("sum.npy"), a + b)


def test_a_single_array_may_have_any_name_and_a_wider_dtype(server: ModelServer, folder: Path) -> None:
    np.savez("in.npz", whatever=ROWS.astype(np.float64))
    assert predict(server, "in.npz", "-o", "out.npy") == 0
    np.testing.assert_array_equal(np.load("out.npy"), ROWS * 2)


def test_npy_in_fortran_order_is_read_by_rows_too(server: ModelServer, folder: Path) -> None:
    np.save("in.npy", np.asfortranarray(ROWS))
    assert predict(server, "in.npy", "-o", "out.npy", "--batch", "7") == 0
    np.testing.assert_array_equal(np.load("out.npy"), ROWS * 2)


def test_a_version_in_the_target_predicts_all_rows(server: ModelServer, folder: Path) -> None:
    server.models["double"][2] = times(-7)
    assert predict(server, "rows.npy", "-o", "new.npz") == 0
    assert predict(server, "rows.npy", "-o", "old.npz", model="double/1") == 0
    np.testing.assert_array_equal(load("new.npz")["y"], ROWS * np.float32(-7))
    np.testing.assert_array_equal(load("old.npz")["y"], ROWS * 2)


def test_the_version_is_pinned_from_the_first_row(server: ModelServer, folder: Path) -> None:
    def publish(request: Any) -> None:
        server.models["double"].setdefault(2, times(-7))

    server.before_predict = publish
    assert predict(server, "rows.npy", "-o", "out.npz", "--batch", "4") == 0
    np.testing.assert_array_equal(load("out.npz")["y"], ROWS * 2)


def refuse_rows(server: ModelServer, *bad: int, status: str = "INVALID_ARGUMENT") -> None:
    """Lets the server refuse requests that hold one of these rows of ROWS."""
    whole = server.models["double"][1].run

    def run(inputs: dict[str, Any]) -> dict[str, Any]:
        if any((inputs["x"] == ROWS[row]).all(axis=1).any() for row in bad):
            raise Refusal(status, "this one is odd")
        return whole(inputs)

    server.models["double"][1].run = run


@pytest.mark.parametrize("status", ["INVALID_ARGUMENT", "INTERNAL"])
def test_rows_that_the_server_refuses_are_isolated_and_listed(server: ModelServer, folder: Path, status: str) -> None:
    refuse_rows(server, 5, 6, 33, status=status)
    assert predict(server, "rows.npy", "-o", "out.npz", "--batch", "16") == 1
    out = load("out.npz")
    assert np.flatnonzero(~out["row_ok"]).tolist() == [5, 6, 33]
    assert np.isnan(out["y"][[5, 6, 33]]).all()
    np.testing.assert_array_equal(out["y"][out["row_ok"]], np.delete(ROWS, [5, 6, 33], axis=0) * 2)
    assert [(f["row"], f["input"]) for f in failures("out.npz")] == [(n, f"rows.npy[{n}]") for n in (5, 6, 33)]
    assert all("this one is odd" in f["error"] for f in failures("out.npz"))


def test_an_unavailable_server_is_not_a_failure_of_rows(server: ModelServer, folder: Path) -> None:
    refuse_rows(server, *range(50), status="INTERNAL")
    assert predict(server, "rows.npy", "-o", "out.npz", "--batch", "16") == 3
    assert not Path("out.npz").exists() and not Path("out.npz.errors.jsonl").exists()


def test_failed_rows_of_integers_are_zero(server: ModelServer, folder: Path) -> None:
    server.models["ints"] = {1: times(2, dtype="int32")}
    np.save("ints.npy", np.array([[1, 2, 3], [2**40, 0, 0], [4, 5, 6]]))
    assert predict(server, "ints.npy", "-o", "out.npy", model="ints") == 1
    assert np.load("out.npy").tolist() == [[2, 4, 6], [0, 0, 0], [8, 10, 12]]
    assert "do not fit" in failures("out.npy")[0]["error"]


def test_a_server_with_a_smaller_batch_limit_still_predicts_all_rows(server: ModelServer, folder: Path) -> None:
    server.models["double"][1].max_rows = 5
    assert predict(server, "rows.npy", "-o", "out.npy") == 0
    np.testing.assert_array_equal(np.load("out.npy"), ROWS * 2)


def test_json_prints_the_summary(server: ModelServer, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refuse_rows(server, 5)
    assert predict(server, "rows.npy", "-o", "out.npz", "--json") == 1
    summary = json.loads(capsys.readouterr().out)
    assert {key: summary[key] for key in ("out", "model", "version", "rows", "failed", "errors")} == {
        "out": "out.npz",
        "model": "double",
        "version": 1,
        "rows": 50,
        "failed": 1,
        "errors": "out.npz.errors.jsonl",
    }


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["localhost:1", "rows.npy", "-o", "out.npz"], "expected TARGET as HOST:PORT/MODEL"),
        (["localhost:1/m", "rows.npy", "-o", "out.csv"], "must end in .npz or .npy"),
        (["localhost:1/m", "absent.npy", "-o", "out.npz"], "absent.npy does not exist"),
        (["localhost:1/m", "table.csv", "-o", "out.npz"], "expected .npy, .npz, an image or a folder"),
        (["localhost:1/m", "broken.npy", "-o", "out.npz"], "cannot be read as .npy"),
        (["localhost:1/m", "rows.npy", "-o", "rows.npy"], "--overwrite"),
        (["localhost:1/m", "empty", "-o", "out.npz"], "holds no images"),
    ],
)
def test_invalid_arguments_are_reported_before_any_request(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    Path("table.csv").write_text("1,2")
    Path("broken.npy").write_text("no array")
    Path("empty").mkdir()
    assert main(arguments) == 2
    assert reason in capsys.readouterr().err
    assert not list(folder.glob("*.partial"))


@pytest.mark.parametrize(
    ("array", "model", "out", "reason"),
    [
        (ROWS[:, :2], "double", "out.npz", r"takes the shape [-1, 3] (-1 is free), the file has [50, 2]"),
        (ROWS.astype(complex), "double", "out.npz", "the model takes float32, received complex128"),
        (np.float32(1), "double", "out.npz", "one row per example"),
        (ROWS[:0], "double", "out.npz", "there are no rows"),
        (ROWS, "pair", "out.npz", "the model takes the inputs ['a', 'b']"),
        (ROWS, "pair", "out.npy", "can hold one output"),
    ],
)
def test_inputs_that_the_model_does_not_take_are_reported_before_a_row_is_sent(
    server: ModelServer, folder: Path, capsys: pytest.CaptureFixture[str], array: Any, model: str, out: str, reason: str
) -> None:
    np.save("in.npy", array)
    assert predict(server, "in.npy", "-o", out, model=model) == 2
    assert reason in capsys.readouterr().err
    assert not server.seen("Predict") and not list(folder.glob("*.partial"))


def test_an_unreachable_server_has_an_exit_status_of_its_own(
    server: ModelServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.stop()
    assert predict(server, "rows.npy", "-o", "out.npz", "--timeout", "0.3") == 3
    assert "connect" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(28, "No space left on device"), 4, "the same command resumes"),
        (ZeroDivisionError("by rows"), 70, "unforeseen ZeroDivisionError in the step 'predict'"),
        (MemoryError(), 70, "Memory ran out"),
    ],
    ids=repr,
)
def test_no_error_reaches_the_user_as_a_trace(
    error: Exception,
    status: int,
    words: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(options: object) -> None:
        raise error

    monkeypatch.setattr("foldserve.predict.cli.run", failing)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert main(["localhost:1/m", "rows.npy", "-o", "out.npz"]) == status
    page = capsys.readouterr().err
    assert words in page and "Traceback" not in page
    assert len(list(folder.glob("predict-model-*.trace.txt"))) == (status == 70)


def test_help_explains_files_exit_statuses_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    page = capsys.readouterr().out
    for word in ("OUT.errors.jsonl", "OUT.partial", "exit status", "predict-model localhost:8500/flowers"):
        assert word in page
