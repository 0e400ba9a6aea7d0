"""Bundles in, predictions out: the processes behind `serve-model`."""
