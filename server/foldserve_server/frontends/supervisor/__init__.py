"""The supervisor's side: front-end processes, shared engines, admin requests."""
