"""The operating system: addresses, files, memory, descriptors, logs."""
