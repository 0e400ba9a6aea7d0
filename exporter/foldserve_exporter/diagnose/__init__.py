"""What is wrong with a model before anything is exported."""
