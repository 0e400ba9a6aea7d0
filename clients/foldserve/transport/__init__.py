"""How calls reach a server; a client takes any transport that keeps `protocol`."""
