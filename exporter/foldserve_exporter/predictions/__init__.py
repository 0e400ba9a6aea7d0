"""A model's predictions: made, compared with one another, and scored against labels."""
