"""The web page: the served models, their state and statistics, and a form to try them."""

import asyncio
import base64
import hashlib
import math
import re
from pathlib import Path
from typing import Any

from aiohttp import web

from foldserve_contract.bundle import Bundle
from foldserve_contract.errors import BundleError
from foldserve_contract.repository import VERSION_PATTERN
from foldserve_contract.signature import Signature, TensorSpec

from ...context.rights import current_rights
from ...errors import ServableNotFound
from ...models.model_engine import ModelEngine, OutputDeviation
from ...models.query import ModelRef
from ...models.routing_table import RoutingTable
from ...models.servable import Servable, ServableState
from ...predict.handler import Clock
from ...stats.shadow_deviation import Drift
from ...system.version import own_version
from ..v1.predict_json import dump
from .pixels import Pixels

ROOT = "/"
REPORT = "report.html"
_PAGE = Path(__file__).with_name("page.html")
_PERCENTILES = (0.5, 0.9, 0.99)
_INLINE = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_NO_EMBEDDING = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_REPORT_POLICY = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; {_NO_EMBEDDING}; sandbox"


class Page:
    """Answers with the page, the data that it fetches, and the reports of the bundles that serve."""

    def __init__(self, table: RoutingTable, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._pixels = Pixels()
        self._html = _inlined(_PAGE)
        self._policy = page_policy(self._html)

    def routes(self) -> list[web.RouteDef]:
        """The routes of page, data and reports."""
        return [
            web.get(ROOT, self.page),
            web.get("/page/state", self.state),
            web.get(f"/page/models/{{name}}/versions/{{version:{VERSION_PATTERN}}}", self.model),
            web.get(f"/reports/{{name}}/{{version:{VERSION_PATTERN}}}", self.report),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """The page itself."""
        return _html(self._html, self._policy)

    async def state(self, request: web.Request) -> web.Response:
        """Every version with its state and statistics."""
        models = [self._model(name) for name in self._table.names()]
        notices = self._table.notices if current_rights().models is None else ()  # they name folders of any model
        return _json({"version": own_version(), "models": models, "notices": list(notices)})

    async def model(self, request: web.Request) -> web.Response:
        """The constant facts of a version that serves: signature, labels, preprocessing, range of pixels."""
        engine = self._find(request).engine
        manifest = engine.info.manifest
        return _json(
            {
                "signature": _signature(manifest.signature),
                "labels": None if manifest.labels is None else list(manifest.labels),
                "preprocessing": manifest.preprocessing,
                "pixels": await self._pixels.range_of(engine),
            }
        )

    async def report(self, request: web.Request) -> web.Response:
        """A bundle's report as it was sealed, under a policy that lets it neither run, load nor be framed."""
        servable = self._find(request)
        try:
            content = await asyncio.to_thread(_read_report, servable.engine)
        except (BundleError, OSError) as error:
            raise ServableNotFound(f"{servable} has no report that is as it was sealed") from error
        return _html(content, _REPORT_POLICY)

    def _find(self, request: web.Request) -> Servable:
        return self._table.find(ModelRef(request.match_info["name"], int(request.match_info["version"])))

    def _model(self, name: str) -> dict[str, Any]:
        serving = self._table.serving(name)
        labels = self._table.labels(name)
        versions = [self._version(servable, labels) for servable in self._table.status(ModelRef(name))]
        return {"name": name, "serving": None if serving is None else str(serving.version), "versions": versions}

    def _version(self, servable: Servable, labels: Any) -> dict[str, Any]:
        entry = {
            "version": str(servable.version),  # JavaScript's numbers hold 53 bits
            "state": servable.state.name,
            "failed": servable.failed,
            "reason": servable.reason,
            "available": servable.available,
            "labels": sorted(label for label, version in labels.items() if version == servable.version),
            "engine": "",
            "key": "",
            "verdicts": [],
            "shadow": None,
            "caveat": "",
            "sizes": "",
            "report": False,
        }
        return entry | (self._serving(servable) if servable.state is ServableState.AVAILABLE else {})

    def _serving(self, servable: Servable) -> dict[str, Any]:
        engine, stats, load = servable.engine, servable.stats, servable.engine.load
        return {
            "engine": engine.info.kind,
            "key": f"{servable.version} {engine.info.digest}",
            "max_batch_size": engine.info.max_batch_size,
            "caveat": engine.info.caveat,
            "sizes": engine.info.batches,
            "verdicts": [_verdict(verdict) for verdict in engine.info.verdicts],
            "shadow": None if engine.drift is None else _shadow(engine.drift),
            "report": any(file.path == REPORT for file in engine.info.manifest.files),
            "at": self._clock(),
            "successes": stats.successes,
            "failures": stats.failures,
            "rows": stats.rows,
            "batches": load.sizes.total,
            "padding": load.padding,
            "percentiles_ms": [value / 1e6 for value in stats.percentiles_ns(*_PERCENTILES)],
        }


def _inlined(path: Path) -> str:
    """The page with its style and script inlined: one response, whose parts the policy names by their digests."""
    html = path.read_text(encoding="utf-8")
    for kind, suffix in (("style", ".css"), ("script", ".js")):
        content = path.with_suffix(suffix).read_text(encoding="utf-8")
        html = html.replace(f"<{kind}></{kind}>", f"<{kind}>\n{content}</{kind}>")
    return html


def page_policy(html: str) -> str:
    """The Content-Security-Policy under which the page's own style and script run, and nothing else."""
    hashes = {"style": "", "script": ""}
    for kind, content in _INLINE.findall(html):
        hashes[kind] += f" 'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
    return (
        f"default-src 'none'; style-src{hashes['style']}; script-src{hashes['script']}; connect-src 'self';"
        f" img-src data:; {_NO_EMBEDDING}"
    )


def _read_report(engine: ModelEngine) -> str:
    return Bundle(engine.info.path, engine.info.manifest, engine.info.digest).read(REPORT).decode(errors="replace")


def _verdict(verdict: OutputDeviation) -> dict[str, Any]:
    return {"output": verdict.output, "deviation": _finite(verdict.deviation), "bound": verdict.bound}


def _shadow(drift: Drift) -> dict[str, Any]:
    """The counts and the worst deviations of the shadow engine's comparisons."""
    outputs = [
        {"output": name, "deviation": _finite(drift.worst.get(name, 0.0)), "bound": bound}
        for name, bound in drift.bounds.items()
    ]
    counts = {name: getattr(drift, name) for name in ("compared", "beyond", "failed", "skipped")}
    return {"engine": drift.engine, "outputs": outputs, **counts}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _signature(signature: Signature) -> dict[str, Any]:
    return {
        "inputs": [_tensor(spec) for spec in signature.inputs],
        "outputs": [_tensor(spec) for spec in signature.outputs],
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)}


def _html(text: str, policy: str) -> web.Response:
    headers = {**_HEADERS, "Content-Security-Policy": policy}
    return web.Response(text=text, content_type="text/html", headers=headers)


def _json(value: Any) -> web.Response:
    return web.Response(body=dump(value), content_type="application/json", headers=_HEADERS)
