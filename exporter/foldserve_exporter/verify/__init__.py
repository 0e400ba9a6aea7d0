"""Proves that every artifact answers as the model does, whatever else is in the batch."""
