"""Resource policies of a catalogue."""

from dataclasses import replace
from functools import partial

from tmf_apis.catalog import actions, jobs, model, rules
from tmf_apis.catalog.definitions import PRODUCT_CATALOG, CatalogDefinition
from tmf_apis.catalog.dependents import NEEDED_BY
from tmf_apis.catalog.export import QueryBuilder, attribute_query
from tmf_apis.catalog.jobs import ImportValidator, JobContext, skip_validation
from tmf_apis.catalog.states import ENTITY_LIFECYCLE, JOB_LIFECYCLE
from tmf_apis.rest.pipeline.policy import (
    ApiModule,
    PolicyCheck,
    Repository,
    Resource,
    ResourcePolicy,
    has_changed,
)
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.settings import Settings


def api_module(  # noqa: PLR0913
    settings: Settings,
    *,
    outbound_policy: OutboundPolicy | None = None,
    validate: ImportValidator = skip_validation,
    build_query: QueryBuilder = attribute_query,
    definition: CatalogDefinition = PRODUCT_CATALOG,
    check_offering: PolicyCheck | None = None,
) -> ApiModule:
    """Return the API module of one catalogue.

    Args:
        settings: The operator's settings.
        outbound_policy: The hosts that the URLs of jobs may name; default: those that the settings
            allow for callbacks.
        validate: Validates a resource of an import file against the contract and returns its
            stored form.
        build_query: Builds a query of the database from the filter of an export job.
        definition: The catalogue.
        check_offering: A further check of product offerings before a write.
    """
    outbound_policy = outbound_policy or OutboundPolicy.from_settings(settings)
    context = JobContext(
        settings=settings,
        outbound_policy=outbound_policy,
        validate=validate,
        build_query=build_query,
        definition=definition,
    )
    further_checks = {"ProductOffering": check_offering}
    policies = {
        kind: _entity_policy(definition, kind, further_checks.get(kind))
        for kind in definition.entity_kinds
    }
    policies[definition.import_job_kind] = _job_policy(context, partial(jobs.run_import, context))
    policies[definition.export_job_kind] = _job_policy(context, partial(jobs.run_export, context))
    models = tuple(model.MODELS[kind] for kind in policies)
    return ApiModule(number=definition.number, policies=policies, models=models)


def _entity_policy(
    definition: CatalogDefinition, kind: str, further_check: PolicyCheck | None
) -> ResourcePolicy:
    if kind == definition.category_tree.kind:
        policy = ResourcePolicy(
            check=lambda repository, old, new: definition.category_tree.check(repository, new),  # noqa: ARG005
            exclusive=definition.category_tree.lock_name,
            after_commit=definition.category_tree.update_inverse_references,
            after_commit_if=has_changed(
                definition.category_tree.parent_attribute,
                definition.category_tree.children_attribute,
                "name",
                "version",
            ),
        )
    elif kind in rules.COMPONENT_ATTRIBUTES:
        policy = ResourcePolicy(
            check=partial(_check_entity, kind, further_check),
            exclusive=partial(actions.bundle_lock_name, kind),
            after_commit=partial(actions.archive_version, kind),
            after_commit_if=_is_new_version,
        )
    else:
        policy = ResourcePolicy(
            check=partial(_check_plain_entity, kind),
            after_commit=partial(actions.archive_version, kind),
            after_commit_if=_is_new_version,
        )
    return replace(
        policy,
        lifecycle=ENTITY_LIFECYCLE,
        accepts_ids=True,
        needed_by=NEEDED_BY.get(kind, ()),
        on_create=partial(rules.on_create, kind),
        on_change=partial(rules.on_change, kind),
        parties=rules.public_parties,
        state_attributes=None if definition.has_state_change_event else frozenset(),
    )


def _check_entity(
    kind: str,
    further_check: PolicyCheck | None,
    repository: Repository,
    old: Resource | None,
    new: Resource | None,
) -> None:
    actions.refuse_bundle_cycle(kind, repository, new)
    actions.check_version(kind, repository, old, new)
    if kind in rules.RELATIONSHIP_ATTRIBUTES:
        actions.check_references(kind, repository, old, new)
    if further_check:
        further_check(repository, old, new)


def _check_plain_entity(
    kind: str, repository: Repository, old: Resource | None, new: Resource | None
) -> None:
    actions.check_version(kind, repository, old, new)
    actions.check_references(kind, repository, old, new)


def _is_new_version(old: Resource | None, new: Resource | None) -> bool:
    return old is not None and new is not None and rules.is_new_version(old, new)


def _job_policy(context: JobContext, run_in_background: partial[None]) -> ResourcePolicy:
    return ResourcePolicy(
        lifecycle=JOB_LIFECYCLE,
        server_owned=frozenset({"creationDate", "completionDate", "errorLog", "progress"}),
        on_create=rules.on_create_job,
        check=lambda repository, old, new: jobs.check_target(context, new if old is None else None),  # noqa: ARG005
        run_in_background=run_in_background,
        parties=lambda _: (),
    )
