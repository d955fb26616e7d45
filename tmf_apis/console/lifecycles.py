"""The state machines of all kinds, for clients and people to read; no token is needed."""

from typing import Any

from flask import Blueprint, Response, jsonify, render_template

from tmf_apis import catalog, ordering
from tmf_apis.console.negotiation import prefers_html
from tmf_apis.console.page_context import PageContext
from tmf_apis.errors import NotFound

StateMachine = dict[str, Any]


def blueprint(context: PageContext) -> Blueprint:
    """Return the pages of the state machines."""
    pages = Blueprint("states", __name__)

    @pages.get("/lifecycle")
    def every() -> Response | str:
        found = _state_machines(context)
        if prefers_html():
            return render_template("lifecycles.html", machines=found)
        return jsonify(found)

    @pages.get("/lifecycle/<kind>")
    def one(kind: str) -> Response | str:
        found = next(
            (machine for machine in _state_machines(context) if machine["id"] == kind), None
        )
        if found is None:
            raise NotFound(f"there is no state machine of {kind[:80]!r}; /lifecycle lists them")
        if prefers_html():
            return render_template("lifecycle.html", machine=found)
        return jsonify(found)

    return pages


def _state_machines(context: PageContext) -> list[StateMachine]:
    """Return every machine, by kind."""
    laws = context.require_engine().policies
    found = {kind: law.lifecycle.as_resource(kind) for kind, law in laws.items() if law.lifecycle}
    for machine in (*catalog.state_machines(), *ordering.state_machines()):
        found.setdefault(machine["id"], machine)
    base = context.base_url()
    return [
        {"id": kind, "href": f"{base}/lifecycle/{kind}", **machine}
        for kind, machine in sorted(found.items())
    ]
