"""`--monitoring_config_file`, as TensorFlow Serving reads it."""

from pathlib import Path

import pytest

from foldserve_server.config.parse_flags import parse
from foldserve_server.config.transport_options import METRICS, TransportOptions
from foldserve_server.errors import CannotStart
from foldserve_server.models.routing_table import RoutingTable
from tests.server.rest.calls import listening


def path_of(file: Path, content: str) -> str | None:
    file.write_text(content)
    return parse(["models", f"--monitoring_config_file={file}"]).options.transport.metrics_path


def test_metrics_are_where_it_says(tmp_path: Path) -> None:
    file = tmp_path / "monitoring.config"
    assert parse(["models"]).options.transport.metrics_path == METRICS == "/monitoring/prometheus/metrics"
    assert path_of(file, 'prometheus_config { enable: true, path: "/metrics" }') == "/metrics"
    assert path_of(file, "prometheus_config { enable: true }") == METRICS
    assert path_of(file, 'prometheus_config { path: "/metrics" }') is None
    assert path_of(file, "") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [('prometheus_config { enable: true path: "metrics" }', "begin with /"), ("enable: true", "no field named")],
)
def test_what_cannot_be_meant_ends_the_start(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(CannotStart, match=message):
        path_of(tmp_path / "monitoring.config", content)


@pytest.mark.parametrize(("path", "statuses"), [("/metrics", [200, 404]), (None, [404, 404])])
async def test_the_server_answers_there_and_nowhere_else(path: str | None, statuses: list[int]) -> None:
    async with listening(RoutingTable(), transport=TransportOptions(metrics_path=path)) as caller:
        results = []
        for at in ("/metrics", METRICS):
            async with caller.session.get(at) as response:
                results.append(response.status)
        assert results == statuses
