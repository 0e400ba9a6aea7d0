"""Report of an export, for a terminal, a program and a browser."""
