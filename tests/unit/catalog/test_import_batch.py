"""Rows of an import file that are written together, compared with rows written one by one."""

from datetime import UTC, datetime
from functools import partial
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory_repository import MemoryRepository
from tmf_apis.catalog import import_batch
from tmf_apis.catalog.definitions import PRODUCT_CATALOG, SERVICE_CATALOG
from tmf_apis.catalog.import_batch import ImportBatch, JobReport, Row
from tmf_apis.catalog.policies import api_module
from tmf_apis.errors import Unavailable
from tmf_apis.settings import Settings

SETTINGS = Settings()
IDS = st.sampled_from("abcdef")
NAMES = st.sampled_from(["x", "y"])
REFERENCE = st.fixed_dictionaries({"id": IDS})
REFERENCES = st.lists(REFERENCE, max_size=2)
OFFERINGS = st.fixed_dictionaries(
    {"@type": st.just("ProductOffering"), "id": IDS, "name": NAMES},
    optional={
        "bundledProductOffering": REFERENCES,
        "version": st.sampled_from(["1.0", "2.0", "no / version"]),
        "lifecycleStatus": st.sampled_from(["Active", "Launched", "In study"]),
    },
)
CATEGORIES = st.fixed_dictionaries(
    {"@type": st.just("Category"), "id": IDS, "name": NAMES},
    optional={"parent": REFERENCE},
)
SPECIFICATIONS = st.fixed_dictionaries(
    {"@type": st.just("ServiceSpecification"), "id": IDS, "name": NAMES},
    optional={
        "serviceSpecRelationship": st.lists(
            st.fixed_dictionaries({"id": IDS, "relationshipType": st.just("dependency")}),
            max_size=2,
        )
    },
)
CANDIDATES = st.fixed_dictionaries(
    {
        "@type": st.just("ServiceCandidate"),
        "id": IDS,
        "name": NAMES,
        "serviceSpecification": REFERENCE,
    }
)


def import_rows(definition, resources, batch_rows, **flags):
    """Import rows; return the report and the stored resources."""
    policies = api_module(SETTINGS, definition=definition).policies
    repository = MemoryRepository(policies, flags=flags, now=datetime(2026, 1, 1, tzinfo=UTC))
    report = JobReport()
    batch = ImportBatch(repository, definition, report)
    with patch.object(import_batch, "BATCH_ROWS", batch_rows):
        for line, resource in enumerate(resources, 1):
            batch.add(Row(line, resource["@type"], dict(resource), 100))
        batch.flush()
    return report, repository


@pytest.mark.parametrize(
    ("definition", "rows", "flags"),
    [
        (PRODUCT_CATALOG, OFFERINGS | CATEGORIES, {}),
        (SERVICE_CATALOG, SPECIFICATIONS | CANDIDATES, {"check_references": True}),
    ],
    ids=["products", "services"],
)
def test_rows_written_together_have_the_effect_of_rows_written_singly(definition, rows, flags):
    @settings(max_examples=150)
    @given(st.lists(rows, max_size=12))
    def check(resources):
        importer = partial(import_rows, definition, resources, **flags)
        (single, expected), (together, stored) = importer(1), importer(100)
        assert together.counts == single.counts
        assert together.errors == single.errors
        assert stored.resources == expected.resources

    check()


def test_independent_rows_of_several_kinds_are_written_in_one_batch(monkeypatch):
    sizes = []
    create_each = MemoryRepository.create_each
    monkeypatch.setattr(
        MemoryRepository, "create_each",
        lambda self, kind, resources: sizes.append(len(resources))
        or create_each(self, kind, resources),
    )  # fmt: skip
    kinds = ("ProductOffering", "ProductOfferingPrice", "ProductSpecification")
    rows = [{"@type": kinds[number % 3], "id": str(number), "name": "n"} for number in range(250)]
    report, _ = import_rows(PRODUCT_CATALOG, rows, import_batch.BATCH_ROWS)
    assert report.counts == {"created": 250}
    assert max(sizes) == 34
    assert len([size for size in sizes if size]) == 9


def test_a_batch_is_limited_in_bytes():
    policies = api_module(SETTINGS).policies
    repository = MemoryRepository(policies)
    batch = ImportBatch(repository, PRODUCT_CATALOG, JobReport())
    for number in range(3):
        resource = {"@type": "ProductOffering", "id": str(number), "name": "n"}
        batch.add(Row(number, "ProductOffering", resource, import_batch.BATCH_BYTES // 2))
    assert set(repository.resources["ProductOffering"]) == {"0", "1"}


def test_an_unavailable_database_ends_the_batch(monkeypatch):
    def fail(self, kind, resources):
        raise Unavailable("away")

    monkeypatch.setattr(MemoryRepository, "create_each", fail)
    with pytest.raises(Unavailable):
        import_rows(PRODUCT_CATALOG, [{"@type": "ProductOffering", "id": "a", "name": "n"}], 100)
