"""What `Client` and `AsyncClient` share: everything but the wait.

A *flow* is a generator that yields what it waits for and returns its result; it knows no threads and no event loop.
`drive` runs flows by blocking, `adrive` by awaiting. Beginning a call takes no waiting, so flows do that themselves.
"""
