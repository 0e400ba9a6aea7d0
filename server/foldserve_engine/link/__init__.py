"""Link between a front end and an engine process: packets on a socket, tensors in shared memory."""
