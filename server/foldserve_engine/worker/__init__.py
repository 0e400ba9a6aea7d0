"""The engine process: startup, batch queue, requests in shared memory."""
