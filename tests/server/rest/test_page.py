import asyncio
import base64
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foldserve_contract.bundle import Bundle
from foldserve_server.config.transport_options import TransportOptions
from foldserve_server.context.rights import Rights
from foldserve_server.models.model_engine import OutputDeviation
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.models.servable import Servable
from foldserve_server.security.tokens import Token, TokenAuthenticator
from foldserve_server.stats.shadow_deviation import Drift
from tests.bundles import make_bundle, reseal
from tests.server.fakes import FakeEngine, serving

from .calls import ask, listening

ROWS = {"instances": [[1, 2], [3, 4]]}


def fetch(path: str, table: RoutingTable) -> tuple[int, str, Mapping[str, str]]:
    async def scenario() -> tuple[int, str, Mapping[str, str]]:
        async with listening(table) as caller, caller.session.get(path) as response:
            return response.status, await response.text(), response.headers.copy()

    return asyncio.run(scenario())


def test_the_page_loads_nothing_else_and_runs_no_other_script() -> None:
    status, text, headers = fetch("/", RoutingTable())
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert not re.findall(
        r"(?:src|href)=[\"'](?!data:)|@import|url\(|//[a-z]+[.][a-z]+/", text.replace("www.w3.org/", "")
    )
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'" and policy["connect-src"] == "'self'"
    for kind in ("style", "script"):
        (content,) = re.findall(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{kind}-src"] == f"'sha256-{digest}'"
    assert headers["X-Content-Type-Options"] == "nosniff"


async def model_shown(table: RoutingTable, *bodies: Any) -> Any:
    """The page's state of model m, once these predictions were asked."""
    async with listening(table) as caller:
        for body in bodies:
            await caller.post("/v1/models/m:predict", body)
        (model,) = (await caller.get("/page/state"))[1]["models"]
        return model


async def test_a_model_is_shown_with_the_version_that_serves_and_its_labels() -> None:
    table = serving(FakeEngine(), version=7)
    table.relabel("m", {"stable": 7, "canary": 7})
    model = await model_shown(table)
    assert (model["name"], model["serving"]) == ("m", "7")
    (good,) = model["versions"]
    assert good["labels"] == ["canary", "stable"] and good["available"] and not good["report"]


async def test_the_digits_of_a_large_version_are_shown_as_they_are() -> None:
    (good,) = (await model_shown(serving(FakeEngine(), version=2**63 - 1)))["versions"]
    assert good["version"] == "9223372036854775807", "a number would be rounded to 9223372036854776000"


@pytest.mark.parametrize(("models", "shown"), [(None, ["a folder is passed over"]), (frozenset({"m"}), [])])
async def test_what_is_passed_over_is_shown_to_callers_with_a_right_to_every_model(
    models: frozenset[str] | None, shown: list[str]
) -> None:
    table = serving(FakeEngine())
    table.set_notices(["a folder is passed over"])
    token = Token(hashlib.sha256(b"secret").digest(), Rights("somebody", models))
    async with listening(table, transport=TransportOptions(access=TokenAuthenticator([token]))) as caller:
        caller.session.headers["Authorization"] = "Bearer secret"
        assert (await caller.get("/page/state"))[1]["notices"] == shown


async def test_a_version_that_failed_is_shown_with_its_reason() -> None:
    table = serving(FakeEngine(), version=7)
    failed = Servable("m", 8)
    table.begin(failed)
    table.end(failed, "it deviates")
    model = await model_shown(table)
    bad, _ = model["versions"]
    assert (model["name"], model["serving"]) == ("m", "7"), "the version below serves on"
    assert (bad["version"], bad["state"], bad["failed"], bad["reason"]) == ("8", "END", True, "it deviates")
    assert bad["sizes"] == "" and bad["shadow"] is None


async def test_golden_deviations_are_shown_beside_their_bounds() -> None:
    engine = FakeEngine()
    verdicts = (OutputDeviation("y", 2e-7, 1e-5), OutputDeviation("z", math.nan, 1.0))
    engine.info = replace(engine.info, verdicts=verdicts)
    (good,) = (await model_shown(serving(engine)))["versions"]
    assert good["verdicts"][0] == {"output": "y", "deviation": 2e-7, "bound": 1e-5}
    assert good["verdicts"][1]["deviation"] is None, "JSON has no NaN"


async def test_requests_are_counted_and_timed_and_batches_described() -> None:
    engine = FakeEngine()
    engine.info = replace(engine.info, batches="batches of up to 4 rows")
    (good,) = (await model_shown(serving(engine), ROWS, {}, {"instances": [[1]]}))["versions"]
    assert (good["successes"], good["failures"], good["rows"], good["batches"]) == (1, 1, 2, 1)
    assert len(good["percentiles_ms"]) == 3 and good["percentiles_ms"][0] > 0
    assert good["sizes"] == "batches of up to 4 rows"


async def test_what_a_shadow_deviates_by_is_shown() -> None:
    engine = FakeEngine()
    engine.drift = Drift("shadow", {"y": 1e-5, "z": 1.0})
    engine.drift.skip()
    engine.drift.skip()
    engine.drift.record({"y": 2e-6, "z": math.inf}, "m/7")
    (good,) = (await model_shown(serving(engine)))["versions"]
    assert good["shadow"]["outputs"] == [
        {"output": "y", "deviation": 2e-6, "bound": 1e-5},
        {"output": "z", "deviation": None, "bound": 1.0},
    ]
    counts = {key: good["shadow"][key] for key in ("engine", "compared", "beyond", "failed", "skipped")}
    assert counts == {"engine": "shadow", "compared": 1, "beyond": 1, "failed": 0, "skipped": 2}


def test_the_state_of_a_server_without_models_is_empty() -> None:
    _, state = ask("/page/state")
    assert state["models"] == []


def test_signature_and_labels_are_given_apart_from_the_state() -> None:
    status, model = ask("/page/models/m/versions/1", None, lambda: serving(FakeEngine()))
    assert status == 200
    assert model["signature"]["inputs"] == [{"name": "x", "dtype": "float32", "shape": [-1, 2]}]
    assert model["labels"] is None


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A version directory with a report."""
    path = make_bundle(tmp_path, "m", 3)
    (path / "report.html").write_text("<h1>proven</h1>")
    reseal(path)
    return path


def table_of(path: Path) -> RoutingTable:
    opened = Bundle.open(path)
    engine = FakeEngine(opened.manifest, opened.digest)
    engine.info = replace(engine.info, path=path)
    return serving(engine, version=3)


def test_a_report_is_shown_as_it_was_sealed_in_a_sandbox(bundle: Path) -> None:
    status, text, headers = fetch("/reports/m/3", table_of(bundle))
    assert (status, text) == (200, "<h1>proven</h1>")
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "sandbox" in policy and "script-src" not in policy


def test_a_report_that_was_changed_is_not_shown(bundle: Path) -> None:
    table = table_of(bundle)
    (bundle / "report.html").write_text("<h1>proved</h1>")
    status, text, _ = fetch("/reports/m/3", table)
    assert status == 404 and "no report that is as it was sealed" in text and str(bundle) not in text


@pytest.mark.parametrize(
    "path",
    ["/reports/m/3/bundle.json", "/reports/m/3/../../bundle.json", "/reports/m/..%2f3", "/reports/n/3", "/reports/m/4"],
)
def test_no_other_file_is_shown(bundle: Path, path: str) -> None:
    status, text, _ = fetch(path, table_of(bundle))
    assert status == 404 and "error" in text


def test_a_bundle_without_a_report_has_none(tmp_path: Path) -> None:
    assert fetch("/reports/m/3", table_of(make_bundle(tmp_path, "m", 3)))[0] == 404
