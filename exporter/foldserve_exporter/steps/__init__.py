"""The steps of an export, each with its result: load, fold, reference, emit, diagnose, publish."""
