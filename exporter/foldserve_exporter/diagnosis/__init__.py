"""Diagnosis of a model's BatchNormalization: faults, their effects on the predictions, and remedies."""
