"""Several front ends: the supervisor's side (`fleet`, `seat`, `engine`) and theirs (`process` and what it imports)."""
