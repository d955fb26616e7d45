"""The index page: what this server is, its APIs, and where everything else is.

It tells nothing of the operator's data, so it needs no token.
"""

from importlib.metadata import version
from itertools import groupby
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, send_from_directory

from tmf_apis.console.negotiation import wants_page
from tmf_apis.console.office import Office
from tmf_apis.rest.contracts import Contract

_DAY = 86_400


def blueprint(office: Office) -> Blueprint:
    """Return the index page and the files that pages need."""
    pages = Blueprint("index", __name__)

    @pages.get("/")
    def index() -> Response | str:
        if wants_page():
            return render_template(
                "index.html", apis=_table(office), health=_health(office), **_facts(office)
            )
        return jsonify([_api(office, contract) for contract in office.contracts])

    @pages.get("/console/static/<path:name>")
    def static(name: str) -> Response:
        return send_from_directory("static", name, max_age=_DAY)

    @pages.get("/favicon.ico")
    def icon() -> Response:
        return send_from_directory("static", "icon.svg", max_age=_DAY)

    @pages.get("/console/")
    def console() -> Any:  # noqa: ANN401
        return redirect("/")

    @pages.get("/console/deliveries")
    def deliveries() -> str:
        return render_template("deliveries.html", **_facts(office))

    return pages


def _facts(office: Office) -> dict[str, Any]:
    return {
        "version": version("tmf-apis"),
        "authenticated": office.gate.enabled,
        "temporal": office.temporal(),
    }


def _health(office: Office) -> str:
    """Return why the server is not ready; empty when it is."""
    return office.application.ready() if office.application else "the server is starting"


def _table(office: Office) -> list[tuple[str, str, list[Contract]]]:
    """Return name, number and versions of every API."""
    grouped = groupby(office.contracts, key=lambda contract: contract.number)
    rows = [(number, list(versions)) for number, versions in grouped]
    return [(_title(versions[0]), number, versions) for number, versions in rows]


def _title(contract: Contract) -> str:
    return contract.title.removeprefix(contract.number).strip()


def _api(office: Office, contract: Contract) -> dict[str, Any]:
    url = office.base() + contract.base_path
    return {
        "id": f"{contract.number}-{contract.version}",
        "name": _title(contract),
        "number": contract.number,
        "version": contract.version,
        "basePath": contract.base_path,
        "mounts": list(contract.mounts),
        "href": url,
        "openapi": f"{url}/openapi.json",
        "docs": f"{url}/docs",
    }
