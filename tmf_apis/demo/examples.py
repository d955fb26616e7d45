"""Further resources of the demo operator: for each operation of the contracts there is one to try.

Copies of resources can be deleted, one in each version: nothing refers to them. Tasks and orders
complete the kinds that the operator itself does not have.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from tmf_apis.demo.builders import time_before
from tmf_apis.rest.pipeline.policy import Resource

#: The resources that are copied, by kind.
COPIED: Mapping[str, tuple[str, ...]] = {
    "ProductCatalog": ("catalogue-home",),
    "Category": ("category-broadband",),
    "ProductSpecification": ("specification-fibre",),
    "ProductOfferingPrice": ("price-fibre-100-monthly",),
    "ProductOffering": ("offering-fibre-100",),
    "ImportJob": ("importjob-1",),
    "ExportJob": ("exportjob-1",),
    "ServiceCatalog": ("catalogue-services",),
    "ServiceCategory": ("service-category-access",),
    "ServiceCandidate": ("candidate-internet-access",),
    "ServiceSpecification": ("service-internet-access",),
    "ResourceCatalog": ("catalogue-network",),
    "ResourceCategory": ("resource-category-equipment",),
    "ResourceCandidate": ("candidate-site",),
    "ResourceSpecification": ("specification-site",),
    "Customer": ("customer-0001",),
    "ProductOrder": ("order-0001",),
    "Product": ("order-0001-1",),
    "Service": ("order-0001-1-cfs",),
    "Resource": ("site-01-olt", "site-01-pool"),
    "Alarm": ("alarm-0001",),
}
#: Attributes of a copy that are no plain values.
_COPIED_OBJECTS = frozenset({"engagedParty", "alarmedObject", "price", "productOrderItem"})
#: Attributes of a copy that differ from the original.
_STATES_OF_COPIES: Mapping[str, Resource] = {
    "Product": {"status": "terminated", "isBundle": False},
    "Service": {"state": "terminated"},
}


def copy_id(id: str, version: str, resource: str = "") -> str:
    """Return the id of the copy of a resource that can be deleted in a version.

    >>> copy_id("offering-fibre-100", "v5")
    'offering-fibre-100-copy-v5'
    """
    return "-".join(part for part in (id, "copy", version, resource) if part)


def with_examples(
    resources: Iterable[tuple[str, Resource]], now: datetime
) -> Iterator[tuple[str, Resource]]:
    """Yield the resources of the operator and the further ones.

    Args:
        resources: Kind and stored form of the resources of the operator.
        now: Time in UTC to which all dates are relative.
    """
    for kind, resource in resources:
        yield kind, resource
        if resource["id"] in COPIED.get(kind, ()):
            for id in _copy_ids(kind, resource["id"]):
                yield kind, {**_copy(kind, resource), "id": id}
    yield from _jobs(now)
    yield from _service_orders(now)
    yield from _qualifications(now)
    yield from _network_tasks(now)


def _copy_ids(kind: str, id: str) -> Iterator[str]:
    for version in ("v4", "v5"):
        yield copy_id(id, version)
    if kind == "Resource":
        yield copy_id(id, "v4", "resource")


def _copy(kind: str, resource: Resource) -> Resource:
    """Return the attributes of a resource that refer to no other resource."""
    plain = {
        name: value
        for name, value in resource.items()
        if name in _COPIED_OBJECTS or not isinstance(value, (dict, list))
    }
    return {**plain, **_STATES_OF_COPIES.get(kind, {})}


def _jobs(now: datetime) -> Iterator[tuple[str, Resource]]:
    for api in ("Service", "Resource"):
        for name in ("Import", "Export"):
            for id in (f"{name.lower()}job-1", copy_id(f"{name.lower()}job-1", "v4")):
                yield (
                    f"{api}{name}Job",
                    {
                        "@type": f"{name}Job",
                        "id": id,
                        "status": "Succeeded",
                        "url": f"file:{api.lower()}-{id}.ndjson",
                        "path": f"/{api.lower()}Category",
                        "contentType": "application/x-ndjson",
                        "creationDate": time_before(now, days=10),
                        "completionDate": time_before(now, days=10, minutes=-2),
                    },
                )


def _service_order(id: str, state: str, now: datetime) -> Resource:
    return {
        "@type": "ServiceOrder",
        "id": id,
        "state": state,
        "externalId": id.upper(),
        "description": "Internet access for the office in Aldermoor",
        "priority": "3",
        "orderDate": time_before(now, days=5),
        "serviceOrderItem": [
            {
                "@type": "ServiceOrderItem",
                "id": "1",
                "action": "add",
                "state": state,
                "service": {
                    "@type": "Service",
                    "name": "Internet access of the office in Aldermoor",
                    "state": "active",
                    "serviceSpecification": {
                        "@type": "ServiceSpecificationRef",
                        "id": "service-internet-access",
                        "name": "Internet access",
                        "version": "1.0",
                    },
                    "serviceCharacteristic": [
                        {"name": f"{name}Speed", "valueType": "integer", "value": value}
                        for name, value in (("downstream", 100), ("upstream", 40))
                    ],
                    "place": [
                        {
                            "@type": "RelatedPlaceRefOrValue",
                            "role": "installation",
                            "id": "site-01",
                            "name": "Aldermoor",
                            "@referredType": "GeographicSite",
                        }
                    ],
                },
            }
        ],
    }


def _service_orders(now: datetime) -> Iterator[tuple[str, Resource]]:
    for id, state in (
        ("service-order-1", "acknowledged"),
        ("service-order-2", "acknowledged"),
        ("service-order-4", "acknowledged"),
        ("service-order-5", "acknowledged"),
        ("service-order-3", "cancelled"),
        (copy_id("service-order-3", "v4"), "cancelled"),
    ):
        yield "ServiceOrder", _service_order(id, state, now)
    yield (
        "CancelServiceOrder",
        {
            "@type": "CancelServiceOrder",
            "id": "cancel-service-order-3",
            "state": "done",
            "cancellationReason": "The office moves to another place",
            "requestedCancellationDate": time_before(now, days=4),
            "effectiveCancellationDate": time_before(now, days=4),
            "serviceOrder": {
                "@type": "ServiceOrderRef",
                "id": "service-order-3",
                "@referredType": "ServiceOrder",
            },
        },
    )


def _qualifications(now: datetime) -> Iterator[tuple[str, Resource]]:
    service = _service_order("", "done", now)["serviceOrderItem"][0]["service"]
    wanted = {"service": {key: service[key] for key in ("serviceSpecification", "place")}}
    for name in ("check", "query"):
        kind = f"{name.capitalize()}ServiceQualification"
        common = {
            "@type": kind,
            "state": "done",
            "description": "Internet access in Aldermoor",
            "instantSyncQualification": True,
            f"{name}ServiceQualificationDate": time_before(now, days=6),
            "effectiveQualificationDate": time_before(now, days=6),
        }
        item = {"id": "1", "qualificationResult": "qualified", "state": "done", **wanted}
        more = (
            {"qualificationResult": "qualified", "serviceQualificationItem": [item]}
            if name == "check"
            else {"searchCriteria": wanted}
        )
        for id in (f"{name}-qualification-1", copy_id(f"{name}-qualification-1", "v4")):
            yield kind, {**common, **more, "id": id}


def _network_tasks(now: datetime) -> Iterator[tuple[str, Resource]]:
    dates = {
        "creationDate": time_before(now, days=2),
        "completionDate": time_before(now, days=2, minutes=-1),
    }
    ended = {"state": "done", **dates, "percentComplete": 100}
    discovery = {
        "target": ["127.0.0.1:16100"],
        "found": 0,
        "created": 0,
        "unreachable": ["127.0.0.1:16100"],
    }
    audit = {"elementId": ["site-01-gateway"], "elements": 1, "checked": 16, "differences": 0}
    report = {"category": ["accessPort"], "limit": 10, "count": 0}
    for kind, id, body in (
        ("NetworkDiscovery", "discovery-1", {**ended, **discovery}),
        ("NetworkAudit", "audit-1", {**ended, **audit}),
        ("CapacityReport", "capacity-1", {"creationDate": dates["creationDate"], **report}),
    ):
        for each in (id, copy_id(id, "v5")):
            yield kind, {"@type": kind, "id": each, **body}
    reference = {"@type": "EntityRef", "id": "audit-1", "@referredType": "NetworkAudit"}
    yield (
        "ResolveDifference",
        {
            "@type": "ResolveDifference",
            "id": "resolve-1",
            "state": "done",
            **dates,
            "audit": reference,
            "remedy": "openTask",
            "resolved": 0,
            "failed": 0,
        },
    )
    yield (
        "FalloutTask",
        {
            "@type": "FalloutTask",
            "id": "fallout-1",
            "state": "open",
            "creationDate": time_before(now, days=1),
            "task": "portDiffers",
            "element": "site-01-gateway",
            "reason": "The port of the service is another one on the element",
            "attempts": 1,
        },
    )
