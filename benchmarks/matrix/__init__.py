"""Parts of `benchmarks/nodes.py`: models, counting, exactness, table."""
