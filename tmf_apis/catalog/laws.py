"""The laws of the catalogue room, put together for one configuration."""

from dataclasses import replace
from functools import partial

from tmf_apis.catalog import actions, jobs, model, rules
from tmf_apis.catalog.export import Query, plain_query
from tmf_apis.catalog.families import PRODUCTS, Family
from tmf_apis.catalog.jobs import Accept, Surroundings, as_it_is
from tmf_apis.catalog.states import ENTITY, JOB
from tmf_apis.rest.law import Desk, Law, Resource, Room, touches
from tmf_apis.security.outbound import Policy
from tmf_apis.settings import Settings


def room(
    settings: Settings,
    *,
    policy: Policy | None = None,
    accept: Accept = as_it_is,
    query: Query = plain_query,
    family: Family = PRODUCTS,
) -> Room:
    """Return the room of one catalogue.

    Args:
        settings: The operator's settings.
        policy: Where the URLs of jobs may lead; default: as the settings say for callbacks.
        accept: Checks a resource of an import file against the contract and returns its stored
            form.
        query: Turns the filter of an export job into a query of the database.
        family: The catalogue.
    """
    loopback = settings.callback_loopback or not settings.authenticated
    policy = policy or Policy(loopback, settings.callback_hosts)
    around = Surroundings(
        settings=settings, policy=policy, accept=accept, query=query, family=family
    )
    laws = {kind: _entity(family, kind) for kind in family.entities}
    laws[family.importing] = _job(around, partial(jobs.run_import, around))
    laws[family.exporting] = _job(around, partial(jobs.run_export, around))
    models = tuple(model.MODELS[kind] for kind in laws)
    return Room(number=family.number, laws=laws, models=models)


def _entity(family: Family, kind: str) -> Law:
    if kind == family.tree.kind:
        law = Law(
            check=lambda desk, old, new: family.tree.check(desk, new),  # noqa: ARG005
            after=family.tree.keep,
            concerns=touches(family.tree.parent, family.tree.children, "name", "version"),
        )
    elif kind in rules.PARTS:
        law = Law(
            check=partial(_check_whole, kind),
            after=partial(actions.keep_version, kind),
            concerns=_is_new_version,
        )
    else:
        law = Law(check=partial(actions.check_references, kind))
    return replace(
        law,
        lifecycle=ENTITY,
        on_create=partial(rules.on_create, kind),
        on_change=partial(rules.on_change, kind),
        parties=rules.everybody,
        state_event=None if family.states else frozenset(),
    )


def _check_whole(kind: str, desk: Desk, old: Resource | None, new: Resource | None) -> None:
    actions.check_parts(kind, desk, new)
    actions.check_version(kind, desk, old, new)
    if kind in rules.RELATIONS:
        actions.check_needed(kind, desk, old if new is None else None)
        actions.check_references(kind, desk, old, new)


def _is_new_version(old: Resource | None, new: Resource | None) -> bool:
    return old is not None and new is not None and rules.is_new_version(old, new)


def _job(around: Surroundings, begin: partial[None]) -> Law:
    return Law(
        lifecycle=JOB,
        server_owned=frozenset({"creationDate", "completionDate", "errorLog", "progress"}),
        on_create=rules.on_create_job,
        check=lambda desk, old, new: jobs.check_url(around, new if old is None else None),  # noqa: ARG005
        begin=begin,
        parties=lambda _: (),
    )
