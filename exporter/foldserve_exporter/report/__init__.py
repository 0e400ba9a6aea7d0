"""What an export found, for a terminal, a program and a browser."""
