"""Comparison of a service in operation with what an order makes of it; pure."""

from collections.abc import Iterable, Mapping

from adapters.values import Setting
from tmf_apis.fulfilment.design.catalog import InstalledService
from tmf_apis.fulfilment.values import ResourceRequirement

_ENABLED = "enabled"


def is_move(installed: InstalledService, requirements: tuple[ResourceRequirement, ...]) -> bool:
    """Return whether an order requests another carrier or place for a service in operation."""
    carrier = next((each for each in requirements if each.is_carrier), None)
    if carrier is None:
        return False
    if carrier.identifier:
        names = installed.carrier_names
        return bool(names) and carrier.identifier not in names
    places = installed.places
    return bool(carrier.places and places and not places & set(carrier.places))


def is_unchanged(
    installed: InstalledService,
    settings: Mapping[str, Setting],
    requirements: tuple[ResourceRequirement, ...],
) -> bool:
    """Return whether a service has its settings and resources already."""
    return (
        bool(installed.settings)
        and all(installed.settings.get(name) == value for name, value in settings.items())
        and _has_resources(installed, requirements)
    )


def _has_resources(
    installed: InstalledService, requirements: tuple[ResourceRequirement, ...]
) -> bool:
    """Return whether a service has the required resources beside its carrier, and no others.

    A resource that is optional need not be there.
    """
    required = [each for each in requirements if not (each.amount or each.is_carrier)]
    unmatched = list(installed.resources)
    for requirement in sorted(required, key=lambda each: (not each.identifier, each.optional)):
        resource = next((each for each in unmatched if each.meets(requirement)), None)
        if resource is not None:
            unmatched.remove(resource)
        elif requirement.identifier or not requirement.optional:
            return False
    return not unmatched


def reset_settings(
    installed: InstalledService, specification: str, defined: Iterable[str]
) -> Mapping[str, Setting]:
    """Return the settings that a change of the specification leaves without a source, as unset.

    Args:
        installed: The service in operation.
        specification: Id of the ServiceSpecification after the change.
        defined: Names of the settings that have a source in it.
    """
    if installed.specification in {"", specification}:
        return {}
    names = installed.settings.keys() - {_ENABLED, *defined}
    values = {name: installed.settings[name] for name in sorted(names)}
    return {
        name: type(value)()
        for name, value in values.items()
        if value and not isinstance(value, bool)
    }
