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

from tmf_apis.console.negotiation import prefers_html
from tmf_apis.console.page_context import PageContext
from tmf_apis.rest.contracts.contract import Contract

#: Of the package, what a page needs.
_SWAGGER_UI_FILES = frozenset({"swagger-ui.css", "swagger-ui-bundle.js"})
_DAY_SECONDS = 86_400


class ContractDocument:
    """The document of one contract, as bytes that only lack this server's URL."""

    def __init__(self, contract: Contract, file: Path) -> None:
        self._contract = contract
        self._file = file

    @cached_property
    def _document_tail(self) -> bytes:
        rest = {k: v for k, v in self._contract.document.items() if k not in {"openapi", "servers"}}
        return orjson.dumps(rest)[1:]

    def json(self, base_url: str) -> bytes:
        """Return the document as JSON, ``servers`` being this server.

        Args:
            base_url: This server's URL.
        """
        head = orjson.dumps(
            {
                "openapi": self._contract.document["openapi"],
                "servers": [
                    {"url": base_url + mount, "description": "This server."}
                    for mount in self._contract.mounts
                ],
            }
        )
        return head[:-1] + b"," + self._document_tail

    def yaml(self) -> bytes:
        """Return the document as it was written; its server is a path below this one."""
        return self._file.read_bytes()


def blueprint(context: PageContext, contracts_dir: Path) -> Blueprint:
    """Return the documents and pages of every contract.

    Args:
        context: The APIs.
        contracts_dir: Where the contracts' files are.
    """
    pages = Blueprint("browsable", __name__)

    @pages.get("/console/swagger/<name>")
    def part(name: str) -> Response:
        return file(
            swagger_ui_path, name if name in _SWAGGER_UI_FILES else "none", max_age=_DAY_SECONDS
        )

    for contract in context.contracts:
        served = ContractDocument(
            contract, contracts_dir / f"{contract.number}-{contract.version}.yaml"
        )
        for mount in contract.mounts:
            _add_contract_routes(pages, context, contract, served, mount)
    return pages


def _add_contract_routes(
    pages: Blueprint,
    context: PageContext,
    contract: Contract,
    contract_document: ContractDocument,
    mount: str,
) -> None:
    def document() -> Response:
        return _conditional_response(contract_document.json(context.base_url()), "application/json")

    def text() -> Response:
        return _conditional_response(contract_document.yaml(), "application/yaml")

    def page() -> Response | str:
        return render_template(
            "docs.html", contract=contract, mount=mount, authenticated=context.authenticator.enabled
        )

    def door() -> Any:  # noqa: ANN401
        url = context.base_url() + mount
        if prefers_html():
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


def _conditional_response(body: bytes, media_type: str) -> Response:
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
