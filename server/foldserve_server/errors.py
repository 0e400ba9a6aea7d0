"""What keeps the server from starting."""

from foldserve_contract.errors import FoldserveError


class CannotStart(FoldserveError):
    """The command line or the machine does not allow it; the message says what to change."""
