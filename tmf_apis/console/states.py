"""The state machines of all kinds, for clients and people to read; no token is needed."""

from typing import Any

from flask import Blueprint, Response, jsonify, render_template

from tmf_apis import catalog, ordering
from tmf_apis.console.negotiation import wants_page
from tmf_apis.console.office import Office
from tmf_apis.errors import NotFound

Machine = dict[str, Any]


def blueprint(office: Office) -> Blueprint:
    """Return the pages of the state machines."""
    pages = Blueprint("states", __name__)

    @pages.get("/lifecycle")
    def every() -> Response | str:
        found = _machines(office)
        if wants_page():
            return render_template("lifecycles.html", machines=found)
        return jsonify(found)

    @pages.get("/lifecycle/<kind>")
    def one(kind: str) -> Response | str:
        found = next((machine for machine in _machines(office) if machine["id"] == kind), None)
        if found is None:
            raise NotFound(f"there is no state machine of {kind[:80]!r}; /lifecycle lists them")
        if wants_page():
            return render_template("lifecycle.html", machine=found)
        return jsonify(found)

    return pages


def _machines(office: Office) -> list[Machine]:
    """Return every machine, by kind."""
    laws = office.engine().laws
    found = {kind: law.lifecycle.as_resource(kind) for kind, law in laws.items() if law.lifecycle}
    for machine in (*catalog.machines(), *ordering.machines()):
        found.setdefault(machine["id"], machine)
    base = office.base()
    return [
        {"id": kind, "href": f"{base}/lifecycle/{kind}", **machine}
        for kind, machine in sorted(found.items())
    ]
