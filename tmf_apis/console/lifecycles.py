"""The lifecycles of all kinds, as pages and as JSON; they need no token."""

from typing import Any

from flask import Blueprint, Response, jsonify, render_template

from tmf_apis import catalog, ordering
from tmf_apis.console.negotiation import prefers_html
from tmf_apis.console.page_context import PageContext
from tmf_apis.errors import NotFound, quoted

StateMachine = dict[str, Any]


def blueprint(context: PageContext) -> Blueprint:
    """Return the routes of the state machines."""
    pages = Blueprint("states", __name__)

    @pages.get("/lifecycle")
    def list_machines() -> Response | str:
        machines = _state_machines(context)
        if prefers_html():
            return render_template("lifecycles.html", machines=machines)
        return jsonify(machines)

    @pages.get("/lifecycle/<kind>")
    def show_machine(kind: str) -> Response | str:
        machines = {machine["id"]: machine for machine in _state_machines(context)}
        if (machine := machines.get(kind)) is None:
            raise NotFound(f"there is no state machine of {quoted(kind)}; see /lifecycle for all")
        if prefers_html():
            return render_template("lifecycle.html", machine=machine)
        return jsonify(machine)

    return pages


def _state_machines(context: PageContext) -> list[StateMachine]:
    """Return all state machines, sorted by kind."""
    policies = context.readiness.require_engine().policies
    machines = {
        kind: policy.lifecycle.as_resource(kind)
        for kind, policy in policies.items()
        if policy.lifecycle
    }
    for machine in (*catalog.state_machines(), *ordering.state_machines()):
        machines.setdefault(machine["id"], machine)
    base = context.base_url()
    return [
        {"id": kind, "href": f"{base}/lifecycle/{kind}", **machine}
        for kind, machine in sorted(machines.items())
    ]
