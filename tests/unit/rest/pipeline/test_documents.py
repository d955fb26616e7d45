"""The members of stored documents."""

import pytest

from tmf_apis.rest.pipeline.documents import is_reshaped


@pytest.mark.parametrize(
    ("document", "reshaped"),
    [
        ({}, []),
        ({"reshaped": False}, []),
        ({"reshaped": True}, ["v4", "v5"]),
        ({"reshaped": []}, []),
        ({"reshaped": ["v4"]}, ["v4"]),
    ],
)
def test_the_versions_whose_form_was_repaired_are_known(document, reshaped):
    assert [v for v in ("v4", "v5") if is_reshaped(document, v)] == reshaped
