"""Command line and configuration files to options."""
