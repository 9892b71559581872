"""The body of a request: what its head says of it, and its bytes within limits."""

import asyncio
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What a body may say it is; without a word it is taken for one of these.
MEDIA = ("", "application/json", "application/octet-stream")
# Of a body that is not wanted so much is read and dropped, in at most so many seconds.
DROPPED_BYTES, DROPPED_SECONDS = 64 << 20, 10.0


class Problem(Exception):
    """An answer other than the one that was asked for."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})


def header_length(request: Request) -> int | None:
    """Say how much of the body is JSON; None if all is. Refuses what cannot be read at all."""
    media = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media not in MEDIA:
        raise Problem(415, f"the body is {media}: send application/json, or application/octet-stream with binary data")
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding != "identity":
        raise Problem(415, f"the body is encoded with {coding}: send it as it is", {"Accept-Encoding": "identity"})
    if "Content-Length" not in request.headers and "Transfer-Encoding" not in request.headers:
        raise Problem(411, "the request has no body: give a Content-Length")
    length = request.headers.get("Inference-Header-Content-Length")
    if length is None:
        return None
    if not (length.isascii() and length.isdigit() and len(length) < 19):
        raise Problem(400, f"Inference-Header-Content-Length {length!r} is not a number of bytes")
    return int(length)


async def read(request: Request, most: int, seconds: float) -> bytes:
    """Read the body, of at most so many bytes, in at most so many seconds.

    Raises Problem, and ClientDisconnect when the client goes away.
    """
    close = {"Connection": "close"}
    large = Problem(413, f"the body is larger than {most} bytes, which is more than the model's input takes", close)
    if int(request.headers.get("Content-Length", "0")) > most:
        raise large
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise large
                parts.append(part)
    except TimeoutError as err:
        raise Problem(408, f"the body was not there within {seconds:g} s", close) from err
    return b"".join(parts)


def dropping(app: ASGIApp) -> ASGIApp:
    """Have the rest of a body read before an answer that did not need it.

    A client that sends first and reads then would otherwise find the connection
    closed, and not the error.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        # Who asks first whether to send the body has not sent it; who was too slow stays so.
        rest = (b"expect", b"100-continue") not in [(name, value.lower()) for name, value in scope["headers"]]

        async def noting() -> Message:
            nonlocal rest
            message = await receive()
            rest = rest and message.get("more_body", False)
            return message

        async def after(message: Message) -> None:
            nonlocal rest
            if message["type"] == "http.response.start" and rest and message["status"] != 408:
                await _drop(noting, lambda: rest)
            rest = False
            await send(message)

        await app(scope, noting, after)

    return wrapped


async def _drop(receive: Receive, more: Callable[[], bool]) -> None:
    size = 0
    try:
        async with asyncio.timeout(DROPPED_SECONDS):
            while more() and size < DROPPED_BYTES:
                size += len((await receive()).get("body", b""))
    except TimeoutError:
        return
