"""What the models a client talks to take, asked once and remembered."""

from typing import Generic

from ..transport.protocol import PendingT
from .address import ModelAddress
from .attempt import Sender
from .flow import Flow
from .metadata import PATH, ModelMetadata, metadata_request, parse_metadata


class Signatures(Generic[PendingT]):
    """Metadata by model, version and signature. An entry is replaced when it is asked for anew."""

    def __init__(self, sender: Sender[PendingT]) -> None:
        self._sender = sender
        self._known: dict[ModelAddress, ModelMetadata] = {}

    def known(self, address: ModelAddress) -> ModelMetadata | None:
        """What was last heard of it."""
        return self._known.get(address)

    def ask(self, address: ModelAddress, deadline: float) -> Flow[PendingT, ModelMetadata]:
        """Asks the server and remembers."""
        body = yield from self._sender.call(PATH, metadata_request(address), deadline)
        metadata = parse_metadata(body, address.signature)
        self._known[address] = metadata
        return metadata
