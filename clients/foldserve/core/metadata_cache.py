"""Cache of model metadata."""

from typing import Generic

from ..transport.protocol import PendingT
from .address import ModelAddress
from .flow import Flow
from .metadata import PATH, ModelMetadata, metadata_request, parse_metadata
from .retrying_call import Sender


class MetadataCache(Generic[PendingT]):
    """Metadata by model, version and signature; `fetch` replaces an entry."""

    def __init__(self, sender: Sender[PendingT]) -> None:
        self._sender = sender
        self._by_address: dict[ModelAddress, ModelMetadata] = {}

    def get(self, address: ModelAddress) -> ModelMetadata | None:
        """The metadata last fetched, or None."""
        return self._by_address.get(address)

    def fetch(self, address: ModelAddress, deadline: float) -> Flow[PendingT, ModelMetadata]:
        """Fetches metadata from the server and stores it."""
        body = yield from self._sender.call(PATH, metadata_request(address), deadline)
        metadata = parse_metadata(body, address.signature)
        self._by_address[address] = metadata
        return metadata
