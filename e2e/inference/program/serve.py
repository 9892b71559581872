"""Serves a model over HTTP until it is told to end.

It listens at once and is ready when its model is. On SIGTERM it says first
that it is no longer ready, and goes on serving for a moment, for clients that
do not know yet; then it takes no more connections, and what is under way is
finished.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from api import Api

if TYPE_CHECKING:
    from network import Network  # which takes long to import

# Seconds from SIGTERM until no more connections are taken, and from then on for
# what is under way. Together they are less than the 5 s that the templates of
# deploy/registry give a pod.
DRAIN, FINISH = 1.0, 3
# Seconds that a connection may be idle between two requests, and that the head
# of a request may take.
IDLE, HEAD = 75, 10.0


class TimedProtocol(H11Protocol):
    """HTTP in which the head of a request has a time to arrive in."""

    head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._time()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _time(self) -> None:
        """Run the timer while the head of a request is expected."""
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self.head_timer is None:
            self.head_timer = self.loop.call_later(HEAD, self.transport.close)

    def _stop(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None


class Server(uvicorn.Server):
    """Ends in two steps."""

    def __init__(self, config: uvicorn.Config, api: Api) -> None:
        super().__init__(config)
        self._api = api
        self._end: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; a second signal ends at once."""
        if self._end is not None:
            self.should_exit = True
        self._api.ending = True
        self._end = time.monotonic() + (DRAIN if self._api.network else 0)

    async def on_tick(self, counter: int) -> bool:
        """Say whether to end; asked ten times a second."""
        if self._end is not None and time.monotonic() >= self._end:
            self.should_exit = True
        return await super().on_tick(counter)


def listen(port: int) -> socket.socket:
    """Listen on a port of every address; raises OSError."""
    try:
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
    except (OSError, ValueError):  # there is no IPv6 here
        return socket.create_server(("", port), backlog=128)


def run(api: Api, port: int, load: Callable[[], Network], info: Callable[[str], None]) -> bool:
    """Serve until SIGTERM or SIGINT.

    Returns whether loading had ended by then; raises what load does.
    """
    config = uvicorn.Config(
        api.application(), http=TimedProtocol, ws="none", loop="asyncio", lifespan="off", log_config=None, access_log=False,
        server_header=False, timeout_keep_alive=IDLE, timeout_graceful_shutdown=FINISH,
    )
    server = Server(config, api)
    failed: list[Exception] = []
    began = time.monotonic()

    def prepare() -> None:
        try:
            api.network = load()
            info(f"Ready after {time.monotonic() - began:.2f} s")
        except Exception as err:  # raised again below
            failed.append(err)
            server.should_exit = True

    with listen(port) as sock:
        info(f"Serving {api.name} on port {sock.getsockname()[1]}")
        loading = threading.Thread(target=prepare, daemon=True)
        loading.start()
        server.run([sock])
    if failed:
        raise failed[0]
    info("Told to end: what was under way is finished")
    return not loading.is_alive()
