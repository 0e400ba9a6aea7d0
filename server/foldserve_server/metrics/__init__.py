"""Metrics for Prometheus, and what they are computed from."""
