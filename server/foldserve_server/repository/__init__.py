"""Sees versions come and go, and keeps each model at the best one."""
