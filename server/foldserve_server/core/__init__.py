"""What the server does, whatever protocol its callers speak."""
