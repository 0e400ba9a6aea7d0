"""Requests to an engine process, and their answers."""
