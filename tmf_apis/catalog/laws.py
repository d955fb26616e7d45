"""The laws of the catalogue room, put together for one configuration."""

from functools import partial

from tmf_apis.catalog import actions, jobs, model, rules
from tmf_apis.catalog.export import Query, plain_query
from tmf_apis.catalog.jobs import Accept, Surroundings, as_it_is
from tmf_apis.catalog.states import ENTITIES, ENTITY, JOB
from tmf_apis.rest.law import Desk, Law, Resource, Room, touches
from tmf_apis.security.outbound import Policy
from tmf_apis.settings import Settings

_MODELS: tuple[type, ...] = (
    model.ProductCatalog,
    model.Category,
    model.ProductOffering,
    model.ProductOfferingPrice,
    model.ProductSpecification,
    model.ImportJob,
    model.ExportJob,
)


def room(
    settings: Settings,
    *,
    policy: Policy | None = None,
    accept: Accept = as_it_is,
    query: Query = plain_query,
) -> Room:
    """Return the room.

    Args:
        settings: The operator's settings.
        policy: Where the URLs of jobs may lead; default: as the settings say for callbacks.
        accept: Checks a resource of an import file against the contract and returns its stored
            form.
        query: Turns the filter of an export job into a query of the database.
    """
    loopback = settings.callback_loopback or not settings.authenticated
    policy = policy or Policy(loopback, settings.callback_hosts)
    around = Surroundings(settings=settings, policy=policy, accept=accept, query=query)
    laws = {kind: _entity(kind) for kind in ENTITIES}
    laws["ImportJob"] = _job(around, partial(jobs.run_import, around))
    laws["ExportJob"] = _job(around, partial(jobs.run_export, around))
    return Room(number="TMF620", laws=laws, models=_MODELS)


def _entity(kind: str) -> Law:
    def check(desk: Desk, old: Resource | None, new: Resource | None) -> None:
        if kind == "Category":
            actions.check_tree(desk, new)
        elif kind in rules.PARTS:
            actions.check_parts(kind, desk, new)
            actions.check_version(kind, desk, old, new)

    def after(desk: Desk, old: Resource | None, new: Resource | None) -> None:
        if kind == "Category":
            actions.keep_tree(desk, old, new)
        elif kind in rules.PARTS:
            actions.keep_version(kind, desk, old, new)

    def versions(old: Resource | None, new: Resource | None) -> bool:
        return old is not None and new is not None and rules.is_new_version(old, new)

    tree = touches("parent", "subCategory", "name", "version")
    return Law(
        lifecycle=ENTITY,
        on_create=partial(rules.on_create, kind),
        on_change=partial(rules.on_change, kind),
        check=check,
        after=after,
        concerns=tree if kind == "Category" else versions,
        parties=rules.everybody,
    )


def _job(around: Surroundings, begin: partial[None]) -> Law:
    return Law(
        lifecycle=JOB,
        server_owned=frozenset({"creationDate", "completionDate", "errorLog", "progress"}),
        on_create=rules.on_create_job,
        check=lambda desk, old, new: jobs.check_url(around, new if old is None else None),  # noqa: ARG005
        begin=begin,
        parties=lambda _: (),
    )
