"""Inputs for the verification: the user's samples, or synthetic ones where there are none."""
