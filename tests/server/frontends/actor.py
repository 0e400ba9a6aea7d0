"""A front end that notes what it is told, and adopts it unless a file says otherwise. Only tests start it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from socket import socket
from typing import Any

from foldserve_contract.records import to_json
from foldserve_server.frontends.message_channel import MessageChannel, close_all
from foldserve_server.frontends.messages import (
    FrontEndHello,
    ListenFailed,
    Listening,
    Ping,
    Pong,
    StartListening,
    Stop,
    TableAck,
    TableSnapshot,
)


class Actor:
    def __init__(self, folder: Path, sock: socket) -> None:
        self.folder = folder
        self.front = 0
        self.channel = MessageChannel(sock, self.hear, lambda: os._exit(1))
        self.done = asyncio.Event()

    def hear(self, document: Any, descriptors: Sequence[int]) -> None:
        close_all(descriptors)
        while isinstance(document, Ping) and (self.folder / f"spins-{self.front}").exists():
            pass
        if isinstance(document, Ping):
            self.channel.send(Pong(document.number))
            return
        if isinstance(document, FrontEndHello):
            self.front = document.front_end
            if (self.folder / "dies").exists():
                os.kill(os.getpid(), signal.SIGKILL)
        with (self.folder / f"heard-{self.front}").open("a") as heard:
            heard.write(json.dumps({"kind": type(document).__name__, **to_json(document)}) + "\n")
        if isinstance(document, TableSnapshot):
            self.adopt(document.epoch)
        elif isinstance(document, StartListening):
            refuses = (self.folder / "refuses").exists()
            self.channel.send(ListenFailed("it was told to refuse") if refuses else Listening(None))
        elif isinstance(document, Stop):
            self.done.set()

    def adopt(self, epoch: int) -> None:
        if (self.folder / f"deaf-{self.front}").exists():
            asyncio.get_running_loop().call_later(0.01, self.adopt, epoch)
        else:
            self.channel.send(TableAck(epoch))


async def main() -> None:
    await Actor(Path(sys.argv[1]), socket(fileno=int(sys.argv[2]))).done.wait()


if __name__ == "__main__":
    asyncio.run(main())
