"""An engine whose only front end is this process."""

from collections.abc import Sequence
from pathlib import Path

from foldserve_contract.signature import Array, Arrays
from foldserve_engine.link.packets import Credits

from ..errors import NotNow
from .client.engine_client import EngineClient
from .client.pending import PendingRequests
from .process.launch import ENGINE_COMMAND, LaunchedEngine, launch
from .process.supervisor import EngineSupervisor
from .report import LoadReport
from .settings import EngineSettings

_FRONT = 1


class EngineProcess(EngineSupervisor):
    """A model version that answers predictions."""

    def __init__(self, path: Path, settings: EngineSettings, command: Sequence[str], launched: LaunchedEngine) -> None:
        """Made by `start`."""
        report, ready = LoadReport.of(launched, settings), launched.ready
        credits = Credits(ready.credit_rows, ready.credit_bytes)
        self._link = EngineClient(_FRONT, report.signature, report.max_batch_size, credits, settings)
        super().__init__(path, settings, command, launched, self._link)

    @classmethod
    async def start(
        cls, path: Path, settings: EngineSettings, *, command: Sequence[str] = ENGINE_COMMAND
    ) -> "EngineProcess":
        """Starts a process and returns once it is available: verified, warmed, golden samples answered.

        Cancelling this kills the candidate.

        Args:
            path: The version directory.
            settings: How it is to run.
            command: What is executed, the descriptor of the control socket following.

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
        """What waits or is computed."""
        return self._link.calls

    async def predict(self, inputs: Arrays, deadline_ns: int | None = None, exact: bool = False) -> dict[str, Array]:
        """The outputs for one request.

        Cancelling this means that the caller has left: what is not computed yet never will be.

        Args:
            inputs: Arrays that fit the signature, as the caller has checked.
            deadline_ns: When the answer is of no use any more, on CLOCK_MONOTONIC.
            exact: Whether a row's bits must depend on nothing but the row, as they always do where the settings are
                deterministic.

        Returns:
            Arrays of the caller's own.

        Raises:
            QueueFull: Too many rows or bytes are waiting.
            ResourceExhausted: The request is larger than any may be.
            DeadlineExceeded: The deadline passed first.
            Unavailable: The engine is restarting or has ended, or crashed while it computed this request.
            EngineFailed: The engine could not compute it.
            InvalidRequest: An input has another dtype than the signature's.
        """
        return await self._link.predict(inputs, deadline_ns, exact or self._settings.deterministic)
