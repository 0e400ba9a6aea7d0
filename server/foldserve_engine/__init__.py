"""Runs one artifact of a bundle: in this process, or in a process of its own behind `link`."""
