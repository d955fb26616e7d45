"""The Flask application of every path that no contract has."""

from typing import Any

from a2wsgi import WSGIMiddleware
from flask import Flask, Response, jsonify

from tmf_apis.errors import MethodNotAllowed, NotFound, TmfError
from tmf_apis.rest.contracts import Contract
from tmf_apis.security.tokens import Gate
from tmf_apis.settings import Settings


class Pages:
    """An ASGI application around Flask."""

    application: Any

    def __init__(self, settings: Settings, contracts: list[Contract], gate: Gate) -> None:
        self._contracts = contracts
        app = Flask(__name__)

        @app.errorhandler(404)
        def missing(_: Exception) -> Response:
            error: TmfError = NotFound("there is nothing at this path")
            answer = jsonify(error.body())
            answer.status_code = error.status
            return answer

        @app.errorhandler(405)
        def wrong(_: Exception) -> Response:
            error = MethodNotAllowed("the method is not possible here")
            answer = jsonify(error.body())
            answer.status_code = error.status
            return answer

        self._app = WSGIMiddleware(app)  # type: ignore[arg-type]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)
