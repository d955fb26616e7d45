"""Forms of resources whose types are not names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.contract_collections import CONTRACTS
from tmf_apis.rest.views.served_forms import ServedForms

FORMS = ServedForms([contract for contract in CONTRACTS if contract.number == "TMF620"])
for contract in CONTRACTS:
    if contract.number == "TMF620":
        FORMS.set_extensions(contract.base_path, {"Own": {"x-baseType": "Category"}})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["Own", "Category", "Unheard"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("a@", max_size=2), inner),
    max_leaves=4,
)


@pytest.mark.parametrize("version", ["v4", "v5"])
@given(VALUES, VALUES)
def test_every_type_has_a_form_that_is_served(version, type_, base):
    nested = {"id": "1", "@type": type_, "@baseType": base}
    body = {"@type": type_, "@baseType": base, "parent": nested, "relatedParty": [nested]}
    form, _ = FORMS.form("Category", version, body)
    assert isinstance(form.get("@type", ""), str)
