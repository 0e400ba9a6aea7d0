"""The Open Inference Protocol, over whichever transport its messages come."""
