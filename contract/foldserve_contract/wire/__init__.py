"""Protobuf's wire format by hand, where the library would copy an array several times.

A message is the concatenation of its fields, so the library writes and reads all that is small, and arrays are put
behind it or found within it. Tests hold every byte against the library's own reading.
"""
