"""Served models: the table of versions, their states and engines."""
