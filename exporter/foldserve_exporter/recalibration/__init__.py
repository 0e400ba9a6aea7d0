"""Recalibration: moving statistics estimated anew from data, without labels and without training."""
