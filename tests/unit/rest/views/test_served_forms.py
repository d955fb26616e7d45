"""Each version serves what the other one has written, valid by its own contract."""

import contextlib
import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.contract_collections import CONTRACTS, validators
from tests.support.document_strategies import V4_SCHEMAS, ContractStrategies, few_examples
from tmf_apis.errors import InvalidBody
from tmf_apis.rest.pipeline.masked_changes import merged
from tmf_apis.rest.views.kind_names import KIND_NAMES, subtypes_of
from tmf_apis.rest.views.served_forms import ServedForms
from tmf_apis.rest.views.versions import from_stored, stored_paths, to_stored

FORMS = ServedForms(CONTRACTS)
#: The kinds that both versions have; the tasks of alarms are alike.
KINDS = [
    kind
    for kind, schema in V4_SCHEMAS
    if not subtypes_of(kind, schema)
    and not (kind.endswith("Alarm") and kind[:-5] not in {"", "Ack"})
]
some_examples = settings(few_examples, max_examples=12)


def contract_of(kind, version):
    number = KIND_NAMES[kind].api
    return next(c for c in CONTRACTS if (c.number, c.version) == (number, version))


def problems(kind, version, form):
    """Return the violations of a form, apart from missing attributes."""
    schema = KIND_NAMES[kind].name(version)
    return [
        f"{list(error.instance_path)}: {error.message}"
        for error in validators(contract_of(kind, version)).validator(schema).iter_errors(form)
        if " is a required property" not in error.message
    ]


def written_documents(kind, version):
    """Return a strategy for documents with attributes of both versions, of right and wrong types.

    The document is in the stored form.
    """
    names = KIND_NAMES[kind]
    other = "v4" if version == "v5" else "v5"
    own = ContractStrategies(names.api, version)
    extra = tuple(ContractStrategies(names.api, other).properties(names.name(other)))
    mixed = ContractStrategies(names.api, version, extra=extra)
    documents = own.documents(names.name(version), 3) | mixed.documents(names.name(version), 3)
    return documents.map(lambda document: to_stored(kind, version, document))


@pytest.mark.parametrize("version", ["v4", "v5"])
@pytest.mark.parametrize("kind", KINDS)
@some_examples
@given(data=st.data())
def test_each_form_is_valid_by_the_contract_of_its_version(kind, version, data):
    stored = data.draw(written_documents(kind, version))
    before = copy.deepcopy(stored)
    for served in ("v4", "v5"):
        form, _ = FORMS.form(kind, served, stored)
        assert problems(kind, served, form) == []
    assert stored == before


@pytest.mark.parametrize("version", ["v4", "v5"])
@pytest.mark.parametrize("kind", KINDS)
@some_examples
@given(data=st.data())
def test_all_attributes_of_an_accepted_resource_are_served(kind, version, data):
    stored = data.draw(written_documents(kind, version))
    other = "v4" if version == "v5" else "v5"
    with contextlib.suppress(InvalidBody):
        accepted = FORMS.accepted(kind, version, stored)
        form, _ = FORMS.form(kind, other, accepted)
        assert form.keys() >= from_stored(kind, other, accepted).keys()


@pytest.mark.parametrize("kind", KINDS)
@some_examples
@given(data=st.data())
def test_a_client_of_v4_that_sends_back_what_it_read_changes_nothing(kind, data):
    stored = data.draw(written_documents(kind, "v5"))
    shown = to_stored(kind, "v4", FORMS.form(kind, "v4", stored)[0])
    assert merged(shown, shown, stored) == stored


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        (
            "ProductOffering",
            {"productOfferingCharacteristic": {"name": "r"}},
            'productOfferingCharacteristic: the value is not of type "array" (in v5',
        ),
        ("ProductOrder", {"productOrderMilestone": {"name": "m"}}, "productOrderMilestone"),
        ("ProductOrder", {"productOrderJeopardyAlert": [7]}, "/productOrderJeopardyAlert/0"),
        ("Resource", {"creationDate": "text"}, "date-time"),
        ("Resource", {"validFor": {"endDateTime": 7}}, "/validFor/endDateTime"),
        (
            "Resource",
            {"@type": "PhysicalResource", "serialNumber": {"a": 1}},
            "/serialNumber",
        ),
        ("Resource", {"@type": "SoftwareResource", "isDistributedCurrent": "x"}, "/isDistributed"),
        ("Alarm", {"perceivedSeverity": "bad"}, '"critical", "major"'),
    ],
)
def test_a_value_that_v5_cannot_serve_is_refused_with_the_reason(kind, body, reason):
    with pytest.raises(InvalidBody) as error:
        FORMS.accepted(kind, "v4", to_stored(kind, "v4", {"@type": kind, **body}))
    assert reason in error.value.message


def test_values_that_were_invalid_before_do_not_block_a_change():
    before = {"@type": "ProductOrder", "productOrderMilestone": {"name": "m"}}
    after = {**before, "description": "x"}
    assert FORMS.accepted("ProductOrder", "v4", after, before) == after


@pytest.mark.parametrize(
    ("attribute", "sent", "stored"),
    [
        ("perceivedSeverity", "MAJOR", "major"),
        ("state", "Raised", "raised"),
        ("ackState", "UNACKNOWLEDGED", "unacknowledged"),
        ("alarmType", "QualityOfServiceAlarm", "qualityOfServiceAlarm"),
        ("alarmType", "quality of service alarm", "qualityOfServiceAlarm"),
        ("plannedOutageIndicator", "OUT_OF_SERVICE", "OutOfService"),
    ],
)
def test_an_enumeration_that_is_free_text_in_v4_is_stored_in_the_spelling_of_v5(
    attribute, sent, stored
):
    assert FORMS.accepted("Alarm", "v4", {attribute: sent}) == {attribute: stored}
    assert FORMS.form("Alarm", "v5", {attribute: sent})[0] == {attribute: stored}


@pytest.mark.parametrize(
    ("kind", "stored", "v4"),
    [
        ("ProductOrder", {"state": "draft"}, {"state": "acknowledged"}),
        ("ProductOrder", {"state": "inProgress.accepted"}, {"state": "inProgress"}),
        ("ProductOrder", {"state": "partial"}, {"state": "partial"}),
        (
            "ProductOrder",
            {"productOrderItem": [{"id": "1", "productOrderItem": [{"state": "partial"}]}]},
            {"productOrderItem": [{"id": "1", "productOrderItem": [{"state": "failed"}]}]},
        ),
        ("CancelProductOrder", {"state": "rejected"}, {"state": "terminatedWithError"}),
        (
            "ProductOrder",
            {
                "relatedParty": [
                    {
                        "@type": "RelatedPartyRefOrPartyRoleRef",
                        "role": "customer",
                        "partyOrPartyRole": {"@type": "PartyRoleRef", "id": "1", "partyId": "2"},
                    }
                ]
            },
            {
                "relatedParty": [
                    {"@type": "RelatedParty", "role": "customer", "id": "1", "partyId": "2"}
                ]
            },
        ),
        (
            "ProductSpecification",
            {
                "productSpecCharacteristic": [
                    {
                        "@type": "CharacteristicSpecification",
                        "characteristicValueSpecification": [
                            {"@type": "StringCharacteristicValueSpecification", "value": "a"}
                        ],
                    }
                ]
            },
            {
                "productSpecCharacteristic": [
                    {
                        "@type": "ProductSpecificationCharacteristic",
                        "productSpecCharacteristicValue": [
                            {"@type": "CharacteristicValueSpecification", "value": "a"}
                        ],
                    }
                ]
            },
        ),
    ],
)
def test_v4_shows_its_own_values_and_types_for_those_of_v5(kind, stored, v4):
    assert FORMS.form(kind, "v4", stored) == (v4, v4 != from_stored(kind, "v4", stored))


def test_the_path_of_a_value_leads_into_its_container():
    assert stored_paths("ProductOrder", "v4", "productOrderItem.product.place.city") == (
        "productOrderItem.product.place.city",
        "productOrderItem.product.place.place.city",
    )
