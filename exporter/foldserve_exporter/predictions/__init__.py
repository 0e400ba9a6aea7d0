"""A model's predictions: made, compared with one another, and held against labels."""
