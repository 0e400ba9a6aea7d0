"""Metrics: counting of requests, statistics of versions, Prometheus' text format."""
