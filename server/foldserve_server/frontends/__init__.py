"""Several front ends: the supervisor's side, the worker's side, and their messages."""
