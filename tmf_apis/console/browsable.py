"""Each contract as one whole document, and as a page to read it and try it out (Swagger UI)."""

import gzip
import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
from flask import Blueprint, Response, jsonify, redirect, render_template, request
from flask import send_from_directory as file
from swagger_ui_bundle import swagger_ui_path

from tmf_apis.console.negotiation import wants_page
from tmf_apis.console.office import Office
from tmf_apis.rest.contracts import Contract

#: Of the package, what a page needs.
_PARTS = frozenset({"swagger-ui.css", "swagger-ui-bundle.js"})
_DAY = 86_400


class Served:
    """The document of one contract, as bytes that only lack this server's URL."""

    def __init__(self, contract: Contract, file: Path) -> None:
        self._contract = contract
        self._file = file

    @cached_property
    def _rest(self) -> bytes:
        rest = {k: v for k, v in self._contract.document.items() if k not in {"openapi", "servers"}}
        return orjson.dumps(rest)[1:]

    def json(self, base: str) -> bytes:
        """Return the document as JSON, ``servers`` being this server.

        Args:
            base: This server's URL.
        """
        head = orjson.dumps(
            {
                "openapi": self._contract.document["openapi"],
                "servers": [
                    {"url": base + mount, "description": "This server."}
                    for mount in self._contract.mounts
                ],
            }
        )
        return head[:-1] + b"," + self._rest

    def yaml(self) -> bytes:
        """Return the document as it was written; its server is a path below this one."""
        return self._file.read_bytes()


def blueprint(office: Office, folder: Path) -> Blueprint:
    """Return the documents and pages of every contract.

    Args:
        office: The APIs.
        folder: Where the contracts' files are.
    """
    pages = Blueprint("browsable", __name__)

    @pages.get("/console/swagger/<name>")
    def part(name: str) -> Response:
        return file(swagger_ui_path, name if name in _PARTS else "none", max_age=_DAY)

    for contract in office.contracts:
        served = Served(contract, folder / f"{contract.number}-{contract.version}.yaml")
        for mount in contract.mounts:
            _add(pages, office, contract, served, mount)
    return pages


def _add(pages: Blueprint, office: Office, contract: Contract, served: Served, mount: str) -> None:
    def document() -> Response:
        return _conditional(served.json(office.base()), "application/json")

    def text() -> Response:
        return _conditional(served.yaml(), "application/yaml")

    def page() -> Response | str:
        return render_template(
            "docs.html", contract=contract, mount=mount, authenticated=office.gate.enabled
        )

    def door() -> Any:  # noqa: ANN401
        url = office.base() + mount
        if wants_page():
            return redirect(f"{mount}/docs")
        return jsonify(
            {
                "number": contract.number,
                "version": contract.version,
                "name": contract.title,
                "openapi": f"{url}/openapi.json",
                "docs": f"{url}/docs",
            }
        )

    for name, view in (("/openapi.json", document), ("/openapi.yaml", text), ("/docs", page)):
        pages.add_url_rule(mount + name, f"{mount}{name}".replace(".", "_"), view)
    pages.add_url_rule(mount, f"{mount}/door", door)
    pages.add_url_rule(f"{mount}/", f"{mount}/door/", door)


def _conditional(body: bytes, media_type: str) -> Response:
    """Return a document that clients may keep, packed where they take it so; or 304."""
    packed = request.accept_encodings["gzip"] > 0
    response = Response(gzip.compress(body, 6) if packed else body, content_type=media_type)
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    mark = hashlib.sha256(body).hexdigest()[:32]
    response.set_etag(f"{mark}-gzip" if packed else mark)
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response
