"""What `benchmarks/nodes.py` counts, in which models, and how it writes it down."""
