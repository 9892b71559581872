"""The Open Inference Protocol's REST API, version 2, for one model.

Requests enter, answers of a network leave; an error is a JSON object with one
sentence, error. Nothing here starts or ends anything: who does says so by
loaded and ending.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

import tensors
from body import Problem, dropping, header_length, read

if TYPE_CHECKING:
    from network import Network  # which takes long to import

SERVER = {"name": "heteroaccel-inference", "version": "v0.1.0", "extensions": ["binary_tensor_data"]}
# The one version of the one model.
VERSION = "1"
# So many requests are read or wait at once, which is all the memory they take;
# more are told to come again.
MOST_WAITING = 32


class Api:
    """The API of a model; on one event loop."""

    def __init__(self, name: str, streams: int, body_seconds: float) -> None:
        self.name = name  # of the model, which is its inference's
        self.network: Network | None = None  # once it is loaded
        self.ending = False
        self._body_seconds = body_seconds
        self._waiting = 0
        self._threads = ThreadPoolExecutor(streams)

    @property
    def ready(self) -> bool:
        """Whether the model is loaded and stays so."""
        return self.network is not None and not self.ending

    def application(self) -> ASGIApp:
        """Return the API as an ASGI application."""
        model = "/v2/models/{name}"
        routes = [
            Route("/v2", self._server),
            Route("/v2/health/live", self._live),
            Route("/v2/health/ready", self._health),
        ]
        for prefix in (model, model + "/versions/{version}"):
            routes += [
                Route(prefix, self._metadata),
                Route(prefix + "/ready", self._model_ready),
                Route(prefix + "/infer", self._infer, methods=["POST"]),
            ]
        return dropping(Starlette(routes=routes, exception_handlers={HTTPException: _http_problem, Problem: _problem, Exception: _bug}))

    async def _server(self, _: Request) -> Response:
        return JSONResponse(SERVER)

    async def _live(self, _: Request) -> Response:
        return JSONResponse({"live": True})

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"ready": self.ready}, 200 if self.ready else 503)

    async def _model_ready(self, request: Request) -> Response:
        self._check(request)
        return JSONResponse({"name": self.name, "ready": self.ready}, 200 if self.ready else 503)

    async def _metadata(self, request: Request) -> Response:
        network = self._loaded(request)
        return JSONResponse({
            "name": self.name, "versions": [VERSION], "platform": "openvino",
            "inputs": [t.metadata() for t in network.inputs], "outputs": [t.metadata() for t in network.outputs],
        })

    def _check(self, request: Request) -> None:
        name, version = request.path_params["name"], request.path_params.get("version", VERSION)
        if name != self.name:
            raise Problem(404, f"there is no model {name!r} here: this server has {self.name}")
        if version != VERSION:
            raise Problem(404, f"model {self.name} has no version {version!r}: it has {VERSION}")

    def _loaded(self, request: Request) -> Network:
        """Return the network; one that is about to end still serves."""
        self._check(request)
        if self.network is None:
            raise Problem(503, f"model {self.name} is being loaded: ask again once /v2/health/ready says so", {"Retry-After": "1"})
        return self.network

    async def _infer(self, request: Request) -> Response:
        network = self._loaded(request)
        length = header_length(request)
        if self._waiting >= MOST_WAITING:
            raise Problem(503, f"{self._waiting} requests wait already: try again in a second", {"Retry-After": "1"})
        self._waiting += 1
        try:
            body = await read(request, tensors.most_bytes(network.inputs), self._body_seconds)
            answer, json_bytes = await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, network, body, length)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except tensors.Refused as err:
            raise Problem(400, str(err)) from err
        except (RuntimeError, ValueError) as err:
            raise Problem(500, f"inferring failed: {' '.join(str(err).split())}") from err
        finally:
            self._waiting -= 1
        if json_bytes is None:
            return Response(answer, media_type="application/json")
        return Response(answer, media_type="application/octet-stream", headers={"Inference-Header-Content-Length": str(json_bytes)})

    def _answer(self, network: Network, body: bytes, length: int | None) -> tuple[bytes, int | None]:
        wanted = tensors.decode(body, length, network.inputs, network.outputs)
        return tensors.encode(wanted, self.name, VERSION, network.infer(wanted.inputs), network.outputs)


async def _problem(_: Request, err: Exception) -> Response:
    assert isinstance(err, Problem)
    return JSONResponse({"error": err.sentence}, err.status, err.headers)


async def _http_problem(request: Request, err: Exception) -> Response:
    assert isinstance(err, HTTPException)
    sentence = {
        404: f"there is no {request.url.path} here: the Open Inference Protocol's paths start with /v2",
        405: f"{request.url.path} does not take {request.method}: see Allow",
    }.get(err.status_code, err.detail)
    return JSONResponse({"error": sentence}, err.status_code, err.headers)


async def _bug(_: Request, err: Exception) -> Response:
    return JSONResponse({"error": f"this is a bug of the server: {type(err).__name__}"}, 500)
