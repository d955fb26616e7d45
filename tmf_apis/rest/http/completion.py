"""Completion of the bodies of creates and hubs before validation, and what an error says about it.

Source: ``docs/api.md``, "Mandatory attributes"; decision 15.
"""

from datetime import UTC, datetime

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.contracts.body_defaults import Json, additions_text
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.http.api import Api
from tmf_apis.rest.http.messages import Request
from tmf_apis.rest.pipeline.policy import ResourcePolicy

_GUIDE = 'see docs/api.md, "Mandatory attributes", and decision 15'


def validated_body(
    api: Api, schema: str, body: Json, request: Request, policy: ResourcePolicy | None = None
) -> Json:
    """Return the body of a create or hub, completed and validated with the contract.

    Args:
        api: The API.
        schema: The schema of the body.
        body: The body, with normalised times.
        request: The request.
        policy: The policy of the kind; None: the hub.

    Raises:
        InvalidBody: It violates the contract. The message says which of the missing attributes the
            server would add (HTTP 400).
    """
    body = api.defaults.typed(schema, body, request.body)
    if api.defaults.fills:
        body = _filled(api, schema, body, policy)
    try:
        api.schemas.check(schema, body)
    except InvalidBody as error:
        additions = additions_text(body, _filled(api, schema, body, policy))
        if not additions:
            raise
        contract = api.contract
        raise InvalidBody(
            f"{error.message}; {contract.number} {contract.version} requires them, and with"
            f" TMF_REQUIRED_ATTRIBUTES=filled the server adds {additions}: {_GUIDE}",
            reference=f"{request.base_url}{contract.base_path}/docs",
        ) from None
    return body


def _filled(api: Api, schema: str, body: Json, policy: ResourcePolicy | None) -> Json:
    """Return a body with the mandatory attributes that the server knows."""
    now, state = rfc3339(datetime.now(UTC)), {}
    if policy and (lifecycle := policy.lifecycle):
        state = {lifecycle.attribute: lifecycle.initial_states[0]}
    return api.defaults.filled(schema, body, now=now, state=state)
