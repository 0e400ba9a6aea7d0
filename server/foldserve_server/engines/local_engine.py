"""An engine process whose only front end is this process."""

from collections.abc import Sequence
from pathlib import Path

from foldserve_contract.signature import Array, Arrays
from foldserve_engine.link.packets import Credits

from ..errors import NotNow
from .client.engine_client import EngineClient
from .client.pending import PendingRequests
from .process.engine_supervisor import EngineSupervisor
from .process.spawn import ENGINE_COMMAND, LaunchedEngine, launch
from .settings import EngineSettings

_FRONT_END = 1


class LocalCallers(EngineClient):
    """The callers in this process: the `EngineCallers` of an engine that has no other front end."""

    def join(self, launched: LaunchedEngine) -> None:
        """See `EngineCallers`: the process was started by this one, and is killed when it gives up the link."""
        largest = launched.ready.warmed[-1]
        self.attach(launched.link(_FRONT_END), launched.epoch, launched.status, largest, launched.child.kill)


class LocalEngine(EngineSupervisor):
    """A model version that answers predictions."""

    def __init__(self, path: Path, settings: EngineSettings, command: Sequence[str], launched: LaunchedEngine) -> None:
        """Made by `start`."""
        report, ready = launched.report, launched.ready
        credits = Credits(ready.credit_rows, ready.credit_bytes)
        self._client = LocalCallers(_FRONT_END, report.signature, report.max_batch_size, credits, settings)
        super().__init__(path, settings, command, launched, self._client)

    @classmethod
    async def start(
        cls, path: Path, settings: EngineSettings, *, command: Sequence[str] = ENGINE_COMMAND
    ) -> "LocalEngine":
        """Starts a process and returns once it is available: verified, warmed, golden samples answered.

        Cancelling this kills the candidate.

        Args:
            path: The version directory.
            settings: How it is to run.
            command: The command that is executed, the descriptor of the control socket following.

        Raises:
            LoadFailed: It must not serve; the message is the reason.
            NotNow: The system has nothing left to run it with.
        """
        launched = await launch(path, settings, command)
        try:
            return cls(path, settings, command, launched)
        except OSError as error:
            await launched.discard()
            raise NotNow(f"there is no memory for its requests: {error}") from error
        except BaseException:
            await launched.discard()
            raise

    @property
    def queue(self) -> PendingRequests:
        """Requests that wait or are computed."""
        return self._client.pending

    async def predict(self, inputs: Arrays, deadline_ns: int | None = None, exact: bool = False) -> dict[str, Array]:
        """See `EngineClient.predict`."""
        return await self._client.predict(inputs, deadline_ns, exact)
