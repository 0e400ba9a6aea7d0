"""TLS, tokens and admission control."""
