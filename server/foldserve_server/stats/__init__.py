"""Counters behind the metrics: of requests, versions and shadow engines, in this process or shared by all."""
