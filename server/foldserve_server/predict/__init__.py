"""From a request to a prediction, whatever protocol it came by."""
