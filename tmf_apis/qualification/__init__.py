"""TMF645 Service Qualification: can a service be had, and where?"""

from functools import partial

from tmf_apis.qualification import actions, rules
from tmf_apis.qualification.actions import Obstacles
from tmf_apis.qualification.model import CheckServiceQualification, QueryServiceQualification
from tmf_apis.rest.law import Law, Room
from tmf_apis.rest.owners import party_ids
from tmf_apis.settings import Settings

__all__ = ["room"]


def room(settings: Settings, *, obstacles: Obstacles | None = None) -> Room:  # noqa: ARG001
    """Return the room; a question is answered by what is there at that moment.

    Args:
        settings: The operator's settings.
        obstacles: Says why a service cannot be had, as fulfilment sees it; default: whether a
            resource of each category is free.
    """
    laws = {
        kind: Law(
            lifecycle=rules.TASK,
            server_owned=rules.OWNED[kind],
            on_create=partial(rules.on_create, kind),
            act=partial(actions.answer, kind, obstacles),
            surveys=True,
            parties=party_ids,
        )
        for kind in rules.OWNED
    }
    models = (CheckServiceQualification, QueryServiceQualification)
    return Room(number="TMF645", laws=laws, models=models)
