"""A connection that can be made deaf in one direction: what its client says is lost, what it hears goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_CHUNK = 1 << 16


class OneWay:
    """Passes bytes between clients and a server, until it is told to lose what clients say."""

    def __init__(self, server: str) -> None:
        """Stand before `server`, a URL."""
        at = urlsplit(server)
        self._host, self._port, self._scheme = at.hostname, at.port, at.scheme
        self._muted = False
        self.url = ""

    def mute(self) -> None:
        """From now on, what clients send is lost."""
        self._muted = True

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[OneWay]:
        """Take connections at `url`. Whoever connects must be gone before the end."""
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            self.url = f"{self._scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(self._host, self._port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(client, to_server, lossy=True))
                both.create_task(self._pass_on(server, to_client, lossy=False))
        except* ConnectionError:
            pass  # one of the two was killed: that is what this is for
        finally:
            to_server.close()
            to_client.close()

    async def _pass_on(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, *, lossy: bool) -> None:
        while data := await source.read(_CHUNK):
            if not (lossy and self._muted):
                to.write(data)
                await to.drain()
        to.close()
