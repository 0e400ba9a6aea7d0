from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from foldserve_server.metrics.exposition import expose


def test_any_value_of_a_label_is_read_back() -> None:
    odd = 'a "quoted" \\ word\nin two lines'
    gauge = GaugeMetricFamily("g", "Of \\ and\nmore.", labels=["z", "a"])
    gauge.add_metric([odd, "1"], float("inf"))
    gauge.add_metric(["", "2"], -0.25)
    (family,) = text_string_to_metric_families(expose([gauge]).decode())
    assert [(sample.labels, sample.value) for sample in family.samples] == [
        ({"z": odd, "a": "1"}, float("inf")),
        ({"z": "", "a": "2"}, -0.25),
    ]


def test_a_metric_without_samples_is_left_out() -> None:
    assert expose([CounterMetricFamily("c", "Nothing yet.", labels=["a"])]) == b""
