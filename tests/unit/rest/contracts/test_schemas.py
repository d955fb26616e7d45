"""Validation of bodies against the type that they name, and its error messages."""

import pytest

from tests.support.paths import OPENAPI
from tmf_apis.errors import InvalidBody
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.contracts.schemas import Schemas

CONTRACTS = {(contract.number, contract.version): contract for contract in load_contracts(OPENAPI)}
PARTY = {"@type": "PartyRef", "id": "1"}
CUSTOMER = {"@type": "Customer", "name": "Ann", "engagedParty": PARTY}


def schemas(number="TMF629", version="v5", **extensions):
    return Schemas(CONTRACTS[number, version].document, version, extensions)


def refusal(body, name="Customer_FVO", **options):
    with pytest.raises(InvalidBody) as caught:
        schemas(**options).check(name, body)
    return caught.value.message


def test_a_valid_body_passes():
    schemas().check("Customer_FVO", CUSTOMER)


def test_a_missing_attribute_is_named():
    assert refusal({"@type": "Customer", "name": "Ann"}) == (
        '/: "engagedParty" is a required property'
    )


def test_an_object_is_validated_against_the_type_that_it_names():
    medium = {"@type": "EmailContactMedium", "emailAddress": 3}
    assert "/contactMedium/0/emailAddress" in refusal({**CUSTOMER, "contactMedium": [medium]})


def test_a_single_nested_object_is_validated_against_its_type():
    item = {
        "@type": "ProductOrderItem",
        "id": "1",
        "action": "add",
        "product": {"@type": "ProductRef", "id": 7},
    }
    body = {"@type": "ProductOrder", "productOrderItem": [item]}
    assert "/productOrderItem/0/product" in refusal(body, "ProductOrder_FVO", number="TMF622")


def test_an_unknown_type_is_refused_and_the_known_ones_are_listed():
    message = refusal({**CUSTOMER, "contactMedium": [{"@type": "Pigeon"}]})
    assert message.startswith("/contactMedium/0/@type")
    assert "EmailContactMedium" in message


def test_an_extension_is_validated_against_its_base_type():
    good = {"@type": "Pigeon", "@baseType": "EmailContactMedium", "emailAddress": "a@example.com"}
    schemas().check("Customer_FVO", {**CUSTOMER, "contactMedium": [good]})
    message = refusal({**CUSTOMER, "contactMedium": [{**good, "emailAddress": 1}]})
    assert "/contactMedium/0/emailAddress" in message


@pytest.mark.parametrize("number", ["TMF622", "TMF629", "TMF639"])
def test_a_subtype_outside_the_discriminator_mapping_is_accepted_by_name(number):
    # The mapping of Characteristic in TMF622 lacks BooleanCharacteristic, which has a schema.
    contract = schemas(number)
    contract.check(
        "Characteristic_FVO", {"@type": "BooleanCharacteristic", "name": "a", "value": True}
    )
    contract.check("Characteristic", {"@type": "BooleanCharacteristic", "name": "a", "value": True})
    with pytest.raises(InvalidBody, match="/value"):
        contract.check(
            "Characteristic", {"@type": "BooleanCharacteristic", "name": "a", "value": "x"}
        )


def test_a_subtype_must_have_the_form_of_its_context():
    characteristic = {"@type": "BooleanCharacteristic_FVO", "name": "a", "value": True}
    with pytest.raises(InvalidBody, match="@type"):
        schemas("TMF622").check("Characteristic", characteristic)


def test_a_registered_extension_is_validated_against_its_schema():
    pigeon = {"x-baseType": "ContactMedium", "required": ["loft"], "type": "object"}
    body = {**CUSTOMER, "contactMedium": [{"@type": "Pigeon"}]}
    assert '"loft" is a required property' in refusal(body, Pigeon=pigeon)


def test_a_wrong_date_is_refused():
    assert "date-time" in refusal({**CUSTOMER, "validFor": {"startDateTime": "soon"}})


def test_the_type_of_the_operation_itself_is_checked():
    with pytest.raises(InvalidBody, match="Customer"):
        schemas().check_resource_type("Customer", {"@type": "ProductOrder"})
    schemas().check_resource_type("Customer", {"@type": "Vip", "@baseType": "Customer"})


def test_a_change_is_not_refused_for_earlier_violations():
    before = {"id": "1", "href": "x", "name": "Ann"}
    schemas().check_change("Customer", before, {**before, "status": "Active"})
    with pytest.raises(InvalidBody, match="status"):
        schemas().check_change("Customer", before, {**before, "status": 5})


def test_a_change_cannot_remove_a_mandatory_attribute():
    before = {"id": "1", "href": "x", **CUSTOMER}
    after = {name: value for name, value in before.items() if name != "engagedParty"}
    with pytest.raises(InvalidBody, match="engagedParty"):
        schemas().check_change("Customer", before, after, create_schema="Customer_FVO")


def test_attributes_unknown_to_the_create_schema_are_validated_against_the_resource():
    body = {"@type": "ProductOrder", "productOrderItem": [], "completionDate": 7}
    with pytest.raises(InvalidBody, match="completionDate"):
        schemas("TMF622").check_additions("ProductOrder", "ProductOrder_FVO", body, body)


@pytest.mark.parametrize("key", sorted(CONTRACTS))
def test_every_body_of_every_contract_has_a_validator(key):
    contract = CONTRACTS[key]
    validators = Schemas(contract.document, contract.version)
    for operation in contract.operations:
        for name in {operation.body_schema, operation.schema} - {None}:
            if name in contract.document["components"]["schemas"]:
                validators.validator(name)
