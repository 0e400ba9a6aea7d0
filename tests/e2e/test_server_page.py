"""The page in a real browser."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from foldserve_contract.signature import Array, TensorSpec
from tests.browser import CHROMIUM, Tab, browsing
from tests.bundles import change_weight, dense_model, make_bundle, reseal
from tests.server.running import Running, running, spawn

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
LABELS = ("rose", "tulip", "daisy", "poppy", "<b>lily</b>")
SIDE = 8


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("models")
    good = make_bundle(root, "flowers", 1, labels=LABELS)
    (good / "report.html").write_text("<title>proven</title><script>document.title = 'ran'</script>")
    reseal(good)
    change_weight(make_bundle(root, "flowers", 2, labels=LABELS, seed=1), by=0.5)
    make_bundle(root, "features", 1, model=dense_model())
    with running(root) as server:
        yield server


def browse(server: Running, tmp_path: Path, visit: Callable[[Tab], Awaitable[Any]], path: str = "/") -> Any:
    async def scenario() -> Any:
        async with browsing(tmp_path / "profile") as tab:
            await tab.open(server.http + path)
            result = await visit(tab)
            assert not tab.errors
            return result

    return asyncio.run(scenario())


def test_models_versions_and_verdicts_are_shown(server: Running, tmp_path: Path) -> None:
    async def visit(tab: Tab) -> tuple[str, str]:
        await tab.until("document.querySelectorAll('.model code').length === 2 && document.querySelector('.drop')")
        await tab.until("document.querySelector('textarea')")
        return await tab.value("document.body.innerText"), await tab.value("document.querySelector('tbody a').href")

    text, link = browse(server, tmp_path, visit)
    assert "2 of 2 models serving" in text
    assert "image float32 [8, 8, 3] → scores float32 [5]" in text
    assert "refused" in text and "the engine does not answer as it was verified: output 'scores'" in text
    assert "golden answers off by" in text
    assert link == f"{server.http}/reports/flowers/1"


def test_an_image_is_answered_as_predict_answers_its_pixels(server: Running, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")

    async def visit(tab: Tab) -> Any:
        await tab.until("document.querySelector('.drop input')")
        await tab.choose_file(".drop input", tmp_path / "image.png")
        await tab.until("document.querySelectorAll('.answer li').length === 5")
        cells = "[row.children[0].textContent, row.children[2].textContent]"
        rows = f"[...document.querySelectorAll('.answer li')].map(row => {cells})"
        return json.loads(await tab.value(f"JSON.stringify({rows})"))

    shown = browse(server, tmp_path, visit)
    (scores,) = server.predict("flowers", image=(pixels[np.newaxis] / 255).astype(np.float32))["scores"]
    order = np.argsort(-scores)
    assert [label for label, _ in shown] == [LABELS[index] for index in order]
    assert [float(share.removesuffix(" %")) for _, share in shown] == pytest.approx(100 * scores[order], abs=0.06)


def test_pixels_are_sent_in_the_range_that_the_bundle_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bright(spec: TensorSpec, rows: int, draw: np.random.Generator) -> Array:
        return draw.uniform(0, 255, (rows, *spec.row_shape)).astype(spec.dtype)

    monkeypatch.setattr("tests.bundles.random_rows", bright)
    make_bundle(tmp_path / "models", "m", 1)

    async def visit(tab: Tab) -> tuple[str, str]:
        await tab.until("document.querySelector('.drop input')")
        chosen = await tab.value("document.querySelector('.options select').selectedOptions[0].textContent")
        return chosen, await tab.value("document.querySelector('.options').innerText")

    with running(tmp_path / "models") as bright_ones:
        chosen, hint = browse(bright_ones, tmp_path, visit)
    assert chosen == "0 … 255" and "as its golden samples have them" in hint


def test_a_narrow_screen_shows_all_of_an_answer_and_scrolls_one_way(server: Running, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((SIDE, SIDE, 3), np.uint8)).save(tmp_path / "image.png")

    async def visit(tab: Tab) -> None:
        narrow = {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        await tab.send("Emulation.setDeviceMetricsOverride", **narrow)
        await tab.until("document.querySelector('.drop input')")
        await tab.choose_file(".drop input", tmp_path / "image.png")
        await tab.until("document.querySelectorAll('.answer li').length === 5")
        assert await tab.value("document.querySelector('.answer .bar').getBoundingClientRect().width") > 60
        assert await tab.value("document.documentElement.scrollWidth") <= 400

    browse(server, tmp_path, visit)


def test_a_model_of_features_is_tried_with_json(server: Running, tmp_path: Path) -> None:
    async def visit(tab: Tab) -> Any:
        await tab.until("document.querySelector('textarea')")
        await tab.value("document.querySelector('textarea').value = '{\"instances\": [[1, 2]]}'")
        await tab.value("document.querySelector('button').click()")
        await tab.until("document.querySelector('.answer .reason')")
        refusal = await tab.value("document.querySelector('.answer .reason').textContent")
        tab.errors.clear()  # the browser notes the answer 400
        await tab.value("document.querySelector('textarea').value = '{\"instances\": [[1, 2, 3, 4]]}'")
        await tab.value("document.querySelector('button').click()")
        await tab.until("document.querySelectorAll('.answer li').length === 3")
        return refusal

    assert "expected shape [-1, 4]" in browse(server, tmp_path, visit)


def test_counts_follow_what_is_asked(server: Running, tmp_path: Path) -> None:
    shown = "+(/flowers.*?of ([0-9]+) requests/s.exec(document.body.innerText) ?? [0, -1])[1]"

    async def visit(tab: Tab) -> None:
        await tab.until(f"{shown} >= 0")
        before = await tab.value(shown)
        for _ in range(20):
            await asyncio.to_thread(server.predict, "flowers", image=np.zeros((2, SIDE, SIDE, 3), np.float32))
        await tab.until("/p90 [0-9.]+, p99 [0-9.]+ ms/.test(document.body.innerText)")
        await tab.until(f"{shown} >= {before + 20}")

    browse(server, tmp_path, visit)


def test_every_version_that_serves_has_its_own_figures_and_can_be_tried(tmp_path: Path) -> None:
    root = tmp_path / "models"
    for version in (1, 2):
        make_bundle(root, "m", version, model=dense_model(version), seed=version)
    config = tmp_path / "models.config"
    config.write_text(f"""model_config_list {{ config {{
        name: "m" base_path: "{root}/m" model_version_policy {{ all {{}} }}
        version_labels {{ key: "stable" value: 1 }}
    }} }}""")
    shown = "[...document.querySelectorAll('.live')].map(live => /of ([0-9]+) requests/.exec(live.innerText)[1]).join()"

    async def visit(tab: Tab) -> tuple[str, str]:
        await tab.until("document.querySelectorAll('.live').length === 2 && document.querySelector('textarea')")
        heads = await tab.value("[...document.querySelectorAll('h3')].map(head => head.textContent).join()")
        choice = "document.querySelector('.choice select')"
        await tab.value("document.querySelector('textarea').id = 'of-the-other-version'")
        await tab.value(f"{choice}.value = '1'; {choice}.dispatchEvent(new Event('change'))")
        await tab.until("!document.getElementById('of-the-other-version')")
        await tab.value("document.querySelector('button').click()")
        await tab.until("document.querySelectorAll('.answer li').length === 3")
        await tab.until(f"{shown} !== '0,0'")
        return heads, await tab.value(shown)

    server = Running(spawn("--port=0", f"--model_config_file={config}"))
    try:
        assert browse(server, tmp_path, visit) == ("version 2,version 1 · stable", "0,1")
    finally:
        server.close()


def test_an_empty_repository_is_told_of_until_a_model_arrives(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()

    async def visit(tab: Tab) -> None:
        await tab.until("document.body.innerText.includes('No model is known yet')")
        await asyncio.to_thread(make_bundle, tmp_path / "models", "m", 1, model=dense_model())
        await tab.until("document.body.innerText.includes('1 of 1 models serving')")
        assert "No model is known yet" not in await tab.value("document.body.innerText")

    with running(tmp_path / "models") as empty:
        browse(empty, tmp_path, visit)


def test_a_report_runs_no_script(server: Running, tmp_path: Path) -> None:
    async def visit(tab: Tab) -> Any:
        await tab.until("document.readyState === 'complete'")
        title = await tab.value("document.title")
        assert any("script" in error for error in tab.errors)  # the browser says what it blocked
        tab.errors.clear()
        return title

    assert browse(server, tmp_path, visit, "/reports/flowers/1") == "proven"


def test_a_token_shows_what_it_gives_a_right_to(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_bundle(tmp_path / "models", name, 1, model=dense_model())
    tokens = tmp_path / "tokens.toml"
    digest = hashlib.sha256(b"secret").hexdigest()
    tokens.write_text(f'[[token]]\nname = "reader"\nsha256 = "{digest}"\nmodels = ["a"]\nadmin = false\n')

    async def visit(tab: Tab) -> Any:
        for word in ("wrong", "secret"):
            await tab.until("document.getElementById('token')")
            await tab.value(f"document.getElementById('token').value = '{word}'")
            await tab.value("document.querySelector('.token button').click()")
            if word == "wrong":
                await tab.until("document.getElementById('status').textContent === 'the token is not known'")
        await tab.until("document.querySelector('textarea')")
        await tab.value("document.querySelector('button').click()")
        await tab.until("document.querySelectorAll('.answer li').length === 3")
        tab.errors.clear()  # the browser notes each 401
        return await tab.value("[...document.querySelectorAll('h2')].map(head => head.textContent).join()")

    with running(tmp_path / "models", f"--tokens-file={tokens}") as guarded:
        assert browse(guarded, tmp_path, visit) == "a"
