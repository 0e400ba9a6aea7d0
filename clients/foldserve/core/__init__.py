"""Common code of `Client` and `AsyncClient`: everything except waiting.

A *flow* is a generator that yields the replies and delays it waits for and returns its result; it uses neither threads
nor an event loop. `drive` runs flows by blocking, `adrive` by awaiting. Flows start calls themselves, since that never
waits.
"""
