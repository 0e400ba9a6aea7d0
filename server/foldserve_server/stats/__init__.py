"""Counters of requests, rows and latencies."""
