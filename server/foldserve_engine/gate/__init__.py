"""The gate: golden samples through an engine, within the promised bounds."""
