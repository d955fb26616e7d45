"""TMF645 Service Qualification: can a service be had, and where?"""

from functools import partial

from tmf_apis.qualification import actions, rules
from tmf_apis.qualification.model import CheckServiceQualification, QueryServiceQualification
from tmf_apis.rest.law import Law, Resource, Room
from tmf_apis.rest.owners import party_ids
from tmf_apis.settings import Settings

__all__ = ["room"]


def room(settings: Settings) -> Room:  # noqa: ARG001
    """Return the room; a question is answered by what is there at that moment."""
    laws = {
        kind: Law(
            lifecycle=rules.TASK,
            server_owned=rules.OWNED[kind],
            on_create=partial(rules.on_create, kind),
            after=partial(actions.answer, kind),
            concerns=_is_new,
            parties=party_ids,
        )
        for kind in rules.OWNED
    }
    models = (CheckServiceQualification, QueryServiceQualification)
    return Room(number="TMF645", laws=laws, models=models)


def _is_new(old: Resource | None, new: Resource | None) -> bool:
    return old is None and new is not None
