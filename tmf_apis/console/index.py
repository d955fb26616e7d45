"""The index page: the APIs of this server, its state, and links to the other pages.

It shows no data of the operator, so it needs no token.
"""

from importlib.metadata import version
from itertools import groupby
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, send_from_directory

from tmf_apis.console.negotiation import prefers_html
from tmf_apis.console.page_context import PageContext
from tmf_apis.rest.contracts.contract import Contract

_DAY_SECONDS = 86_400


def blueprint(context: PageContext) -> Blueprint:
    """Return the routes of the index page and of static files."""
    pages = Blueprint("index", __name__)

    @pages.get("/")
    def index() -> Response | str:
        if prefers_html():
            return render_template(
                "index.html",
                apis=_apis_by_number(context),
                health=context.readiness.problem(),
                **_page_variables(context),
            )
        return jsonify([_api_entry(context, contract) for contract in context.contracts])

    @pages.get("/console/static/<path:name>")
    def static(name: str) -> Response:
        return send_from_directory("static", name, max_age=_DAY_SECONDS)

    @pages.get("/favicon.ico")
    def icon() -> Response:
        return send_from_directory("static", "icon.svg", max_age=_DAY_SECONDS)

    @pages.get("/console/")
    def console() -> Any:  # noqa: ANN401
        return redirect("/")

    @pages.get("/console/deliveries")
    def deliveries() -> str:
        return render_template("deliveries.html", **_page_variables(context))

    return pages


def _page_variables(context: PageContext) -> dict[str, Any]:
    return {
        "version": version("tmf-apis"),
        "authenticated": context.authenticator.enabled,
        "temporal": _temporal_url(context),
    }


def _temporal_url(context: PageContext) -> str:
    """Return the URL of Temporal's page; "" with authentication, since this page needs no token."""
    access = context.temporal_access()
    return access.page_url if access and not context.authenticator.enabled else ""


def _apis_by_number(context: PageContext) -> list[tuple[str, str, list[Contract]]]:
    """Return the name, number and versions of every API."""
    grouped = groupby(context.contracts, key=lambda contract: contract.number)
    rows = [(number, list(versions)) for number, versions in grouped]
    return [(_api_title(versions[0]), number, versions) for number, versions in rows]


def _api_title(contract: Contract) -> str:
    return contract.title.removeprefix(contract.number).strip()


def _api_entry(context: PageContext, contract: Contract) -> dict[str, Any]:
    url = context.base_url() + contract.base_path
    return {
        "id": f"{contract.number}-{contract.version}",
        "name": _api_title(contract),
        "number": contract.number,
        "version": contract.version,
        "basePath": contract.base_path,
        "mounts": list(contract.mounts),
        "href": url,
        "openapi": f"{url}/openapi.json",
        "docs": f"{url}/docs",
    }
