"""Export of everything that is stored about a customer, as JSON.

Source: GDPR, articles 15 and 20; TMF644 (privacy), the categories of personal data.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tmf_apis.privacy.data_subject import DataSubject, SubjectRepository
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.representation import client_view
from tmf_apis.rest.views.kind_registry import KindRegistry

_PROJECTION = dict.fromkeys(("id", "body"), 1)


def export_customer(
    subjects: SubjectRepository, kinds: KindRegistry, subject: DataSubject, base_url: str = ""
) -> Mapping[str, Any]:
    """Return all resources of a customer, decrypted, in the newest version of their API.

    Args:
        subjects: Finds the resources.
        kinds: The kinds that are served.
        subject: The customer.
        base_url: URL of the server, the beginning of each href.
    """
    resources: dict[str, list[dict[str, Any]]] = {}
    for kind, document in subjects.documents(subject, _PROJECTION):
        version = kinds.latest_version(kind)
        view = client_view(kinds, kind, version, document["id"], base_url, document["body"])
        resources.setdefault(kind, []).append(view)
    return {
        "@type": "PersonalDataExport",
        "exportDate": rfc3339(datetime.now(UTC)),
        "customer": subject.customer,
        "party": subject.party or None,
        "resource": resources,
    }
