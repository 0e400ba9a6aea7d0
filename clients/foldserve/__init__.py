"""Clients of foldserve and of any TensorFlow Serving: numpy in, numpy out.

```python
from foldserve import Client

with Client("localhost:8500") as client:
    probabilities = client.predict("flowers", images)
```
"""

from foldserve_contract.signature import Signature, TensorSpec

from . import errors
from .async_client import AsyncClient
from .client import Client
from .core.chunks import ChunkSize
from .core.prediction import Prediction
from .errors import FoldserveError
from .retry import Retry
from .status import State, Status, VersionStatus
from .transport.tls import TlsFiles as Tls

__all__ = [
    "AsyncClient",
    "ChunkSize",
    "Client",
    "FoldserveError",
    "Prediction",
    "Retry",
    "Signature",
    "State",
    "Status",
    "TensorSpec",
    "Tls",
    "VersionStatus",
    "errors",
]
