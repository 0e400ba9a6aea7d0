"""Metrics shown: Prometheus text, Triton's statistics, and the measuring of requests; counted in `stats/`."""
