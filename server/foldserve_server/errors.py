"""What keeps the server from starting, or from going on."""

from foldserve_contract.errors import FoldserveError


class FrontEndsFailed(FoldserveError):
    """Front ends end again and again; the message says how."""


class CannotStart(FoldserveError):
    """The command line or the machine does not allow it; the message says what to change."""
