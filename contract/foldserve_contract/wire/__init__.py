"""Protobuf's wire format, written and read directly where the library would copy an array several times.

A message is the concatenation of its fields: the library writes and reads all small ones, and arrays are appended to
its bytes or located within them. Tests compare every byte with the library's own reading.
"""
