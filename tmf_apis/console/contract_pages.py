"""The contracts as OpenAPI documents and as pages (Swagger UI)."""

import gzip
import hashlib
from functools import cached_property
from typing import Any

import orjson
import yaml
from flask import (
    Blueprint,
    Response,
    jsonify,
    redirect,
    render_template,
    request,
    send_from_directory,
)
from swagger_ui_bundle import swagger_ui_path

from tmf_apis.console.negotiation import prefers_html
from tmf_apis.console.page_context import PageContext
from tmf_apis.errors import InvalidQuery, NotFound, shortened
from tmf_apis.rest.contracts.contract import Contract
from tmf_apis.rest.contracts.documents import Document
from tmf_apis.rest.contracts.flat_document import flat_document
from tmf_apis.rest.contracts.served_document import served_document

#: The files of the Swagger UI package that the pages load.
_SWAGGER_UI_FILES = frozenset({"swagger-ui.css", "swagger-ui-bundle.js"})
_DAY_SECONDS = 86_400
#: The forms of a contract as JSON; the first is the default.
_FORMS = ("flat", "published")


class _PlainDumper(yaml.CSafeDumper):
    """Writes a value at every place where it occurs, without anchors."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        """Return True: no value is written as an alias of another one."""
        return True


class ContractDocument:
    """The document of one contract in two forms, serialized except for the URL of this server."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract

    @cached_property
    def _published_tail(self) -> bytes:
        return _serialized_tail(served_document(self._contract))

    @cached_property
    def _flat_tail(self) -> bytes:
        return _serialized_tail(flat_document(served_document(self._contract)))

    def json(self, base_url: str, form: str) -> bytes:
        """Return the document as JSON, with this server as its ``servers``.

        Args:
            base_url: The URL of this server.
            form: ``flat`` (``flat_document``) or ``published``, as in the file of the contract.

        Raises:
            InvalidQuery: There is no such form (HTTP 400).
        """
        if form not in _FORMS:
            raise InvalidQuery(f"form={form[:40]}: allowed are {' and '.join(_FORMS)}")
        tail = self._published_tail if form == "published" else self._flat_tail
        head = orjson.dumps(
            {
                "openapi": self._contract.document["openapi"],
                "servers": [
                    {"url": base_url + mount, "description": "This server."}
                    for mount in self._contract.mounts
                ],
            }
        )
        return head[:-1] + b"," + tail

    @cached_property
    def yaml(self) -> bytes:
        """The document as YAML; its ``servers`` are paths relative to this server."""
        text = yaml.dump(
            served_document(self._contract), Dumper=_PlainDumper, sort_keys=False, width=100
        )
        return str(text).encode()


def blueprint(context: PageContext) -> Blueprint:
    """Return the routes of the documents and pages of every contract."""
    pages = Blueprint("browsable", __name__)

    @pages.get("/console/swagger/<name>")
    def swagger_ui_file(name: str) -> Response:
        if name not in _SWAGGER_UI_FILES:
            raise NotFound(f"there is nothing at {shortened(request.path)}")
        return send_from_directory(swagger_ui_path, name, max_age=_DAY_SECONDS)

    for contract in context.contracts:
        document = ContractDocument(contract)
        _add_contract_routes(pages, context, contract, document)
    return pages


def _add_contract_routes(
    pages: Blueprint,
    context: PageContext,
    contract: Contract,
    contract_document: ContractDocument,
) -> None:
    mount = contract.base_path

    def json_document() -> Response:
        form = request.args.get("form", _FORMS[0])
        document = contract_document.json(context.base_url(), form)
        return _conditional_response(document, "application/json")

    def yaml_document() -> Response:
        return _conditional_response(contract_document.yaml, "application/yaml")

    def docs_page() -> Response | str:
        return render_template(
            "docs.html", contract=contract, mount=mount, authenticated=context.authenticator.enabled
        )

    def entry_point() -> Any:  # noqa: ANN401
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

    for name, view in (
        ("/openapi.json", json_document),
        ("/openapi.yaml", yaml_document),
        ("/docs", docs_page),
    ):
        pages.add_url_rule(mount + name, f"{mount}{name}".replace(".", "_"), view)
    pages.add_url_rule(mount, f"{mount}/entry_point", entry_point)
    pages.add_url_rule(f"{mount}/", f"{mount}/entry_point/", entry_point)


def _serialized_tail(document: Document) -> bytes:
    """Return the members of a document as JSON, without the first ones and the opening brace."""
    members = {
        name: value for name, value in document.items() if name not in {"openapi", "servers"}
    }
    return orjson.dumps(members)[1:]


def _conditional_response(body: bytes, media_type: str) -> Response:
    """Return a document with an entity tag, compressed if the client accepts gzip; or 304."""
    is_compressed = request.accept_encodings["gzip"] > 0
    response = Response(gzip.compress(body, 6) if is_compressed else body, content_type=media_type)
    if is_compressed:
        response.headers["Content-Encoding"] = "gzip"
    digest = hashlib.sha256(body).hexdigest()[:32]
    response.set_etag(f"{digest}-gzip" if is_compressed else digest)
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response
