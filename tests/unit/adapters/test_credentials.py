"""Credentials: their sources, and the secrecy of their values."""

import pytest

from adapters.credentials import Credentials, Secret
from adapters.errors import Misconfigured


def test_the_environment_wins_over_the_file(tmp_path):
    file = tmp_path / "credentials.json"
    file.write_text('{"gw-1": {"community": "of the file"}}')
    environment = {"TMF_CREDENTIAL_GW_1": '{"community": "of the environment"}'}
    assert Credentials(file, environment).get("gw-1")["community"] == "of the environment"
    assert Credentials(file, {}).get("gw-1")["community"] == "of the file"


@pytest.mark.parametrize("text", ["swordfish", '["swordfish"]', '{"community": 1}', "{" * 5000])
def test_a_bad_secret_is_reported_without_its_text(text):
    with pytest.raises(Misconfigured) as caught:
        Credentials("", {"TMF_CREDENTIAL_GW": text}).get("gw")
    assert "swordfish" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_unknown_credentials_name_the_variable(tmp_path):
    with pytest.raises(Misconfigured, match="TMF_CREDENTIAL_LAB"):
        Credentials("", {}).get("lab")
    with pytest.raises(Misconfigured, match="cannot read"):
        Credentials(tmp_path / "none.json", {}).get("lab")


def test_a_secret_never_shows_its_values():
    secret = Secret({"community": "swordfish"})
    assert "swordfish" not in f"{secret!r} {secret}"
