"""What the models a client talks to take, asked once and remembered."""

from typing import Generic

from ..transport.protocol import PendingT
from .address import ModelAddress
from .flow import Flow
from .metadata import PATH, ModelMetadata, metadata_request, parse_metadata
from .retrying_call import Sender


class MetadataCache(Generic[PendingT]):
    """Metadata by model, version and signature. An entry is replaced when it is asked for anew."""

    def __init__(self, sender: Sender[PendingT]) -> None:
        self._sender = sender
        self._by_address: dict[ModelAddress, ModelMetadata] = {}

    def cached(self, address: ModelAddress) -> ModelMetadata | None:
        """What was last heard of it."""
        return self._by_address.get(address)

    def fetch(self, address: ModelAddress, deadline: float) -> Flow[PendingT, ModelMetadata]:
        """Asks the server and remembers."""
        body = yield from self._sender.call(PATH, metadata_request(address), deadline)
        metadata = parse_metadata(body, address.signature)
        self._by_address[address] = metadata
        return metadata
