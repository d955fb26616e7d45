"""Settings from the environment: valid values, and errors that name the variable."""

import pytest

from tmf_apis.settings import Settings


def test_unset_variables_have_their_defaults():
    assert Settings.from_environment({}) == Settings()


@pytest.mark.parametrize("level", ["debug", "WARNING"])
def test_a_log_level_is_accepted_in_any_case(level):
    assert Settings.from_environment({"TMF_LOG_LEVEL": level}).log_level == level


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("TMF_LOG_LEVEL", "verbose"),
        ("TMF_PARTIAL_STATUS", "204"),
        ("TMF_AUDIT_REMEDY", "repair"),
        ("TMF_FULFILMENT_FALLOUT", "undo,unknown"),
        ("TMF_THREADS", "0"),
        ("TMF_PAGE_LIMIT", "-1"),
        ("TMF_CLOCK_SKEW", "nan"),
        ("TMF_UNKNOWN_FILTERS", "perhaps"),
        ("TMF_DISCOVERY_NETWORKS", "everything"),
    ],
)
def test_an_invalid_value_is_reported_with_its_variable(variable, text):
    with pytest.raises(ValueError, match=f"^{variable}='{text}': "):
        Settings.from_environment({variable: text})
