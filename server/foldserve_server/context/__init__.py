"""Context of the current request: call, rights, trace span."""
