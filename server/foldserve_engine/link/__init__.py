"""What crosses between a front end and an engine process: descriptors on a socket, tensors in shared memory."""
