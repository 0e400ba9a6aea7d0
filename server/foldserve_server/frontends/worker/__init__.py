"""A front-end process."""
