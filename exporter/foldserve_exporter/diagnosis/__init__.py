"""What ails a model's BatchNormalization, what it does to the predictions, and what to do."""
