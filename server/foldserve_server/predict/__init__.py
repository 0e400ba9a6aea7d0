"""Predictions: from a request to its outputs, whatever the protocol."""
