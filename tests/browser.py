"""Headless Chromium, driven over its DevTools protocol."""

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE_S = 60
_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--window-size=1200,1000",
)


class Tab:
    """One page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.errors: list[str] = []

    async def send(self, method: str, **parameters: Any) -> Any:
        """Calls a method of the protocol and gives its result; notes errors that the page reports meanwhile."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while (message := await self._receive()).get("id") != self._number:
            pass
        assert "error" not in message, message
        return message["result"]

    async def _receive(self) -> Any:
        message = json.loads((await self._socket.receive(timeout=PATIENCE_S)).data)
        if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.errors.append(json.dumps(message["params"]))
        return message

    async def open(self, url: str) -> None:
        """Goes there; returns when the page has loaded."""
        for domain in ("Runtime", "Log", "Page", "DOM"):
            await self.send(f"{domain}.enable")
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": "Page.navigate", "params": {"url": url}})
        while (await self._receive()).get("method") != "Page.loadEventFired":
            pass

    async def value(self, expression: str) -> Any:
        """Value of a JavaScript expression, or of the promise it gives."""
        output = await self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in output, output
        return output["result"].get("value")

    async def until(self, condition: str) -> None:
        """Returns once a JavaScript condition holds, looked at whenever the page changes."""
        await self.value(
            "new Promise(done => {"
            f"const look = () => {{ if ({condition}) {{ seen.disconnect(); done(true); }} }};"
            "const seen = new MutationObserver(look);"
            "seen.observe(document, {subtree: true, childList: true, characterData: true, attributes: true});"
            "look(); })"
        )

    async def choose_file(self, selector: str, path: Path) -> None:
        """As a person who picks a file."""
        root = (await self.send("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.send("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        await self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    async def screenshot(self, path: Path, *, dark: bool = False, width: int = 1200) -> None:
        """The whole page as PNG."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.send("Emulation.setEmulatedMedia", features=scheme)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        await self.send("Emulation.setDeviceMetricsOverride", **size)
        image = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(image["data"]))


@asynccontextmanager
async def browsing(profile: Path) -> AsyncIterator[Tab]:
    """A tab of a browser of its own."""
    assert CHROMIUM is not None
    browser = await asyncio.create_subprocess_exec(
        CHROMIUM, *_SWITCHES, f"--user-data-dir={profile}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_S):
            port = await _port(browser)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as response:
                targets = await response.json()
            page = next(target for target in targets if target["type"] == "page")
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Tab(socket)
    finally:
        if browser.returncode is None:
            browser.kill()
        await browser.communicate()


async def _port(browser: asyncio.subprocess.Process) -> int:
    assert browser.stderr is not None
    async for line in browser.stderr:
        if line.startswith(b"DevTools listening on ws://"):
            return int(line.split(b":")[2].split(b"/")[0])
    raise AssertionError("the browser ended at once")
