"""Transports, which carry calls to a server; a client takes any that implements `protocol`."""
