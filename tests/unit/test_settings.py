"""Settings from the environment: valid values, and errors that name the variable."""

import os
from dataclasses import fields

import pytest

from tmf_apis.settings import Settings

#: Settings that accept any text: names and secrets of other systems, and free lists.
FREE_TEXT = {
    *("issuer", "audience", "introspection_client", "introspection_secret", "hub_secret"),
    *("owner_roles", "pii_characteristics"),
    # files that are checked when they are opened, with the same name in the message
    *("tls_cert", "tls_key", "tls_client_ca", "master_key_file"),
}
NUMBERS = [
    *("", "x", "nan", "inf", "-inf", "-1", "1e400", "9" * 40, "9" * 6000, "0x10", "1,000", "1 2"),
    *("true", "None"),
]
#: Values that no setting of a kind accepts, by the type of the default.
INVALID_BY_TYPE = {
    bool: ["perhaps", "2", "-1", "nan", "truee"],
    int: [*NUMBERS, "1.5"],
    float: NUMBERS,
}
INVALID_TEXTS = {
    "data_dir": [""],
    "public_url": ["tmf.example", "ftp://tmf.example", "https://", "https://a b", "http://x:99999",
                   "https://user@tmf.example", "https://tmf.example?x=1", "https://[::1"],
    "tls_client_auth": ["", "foo", "Required"],
    "mongodb_uri": ["localhost:27017", "http://db", "mongo://db"],
    "mongodb_database": ["", "a/b", "a.b", "a b", "x" * 64, "a$b", "ä" * 40],
    "temporal_address": ["temporal", "temporal:x", "temporal:99999", "http://temporal:7233",
                         "a b:7233", ":7233", "unix:relative"],
    "temporal_isolation": ["", "foo", "ON"],
    "temporal_namespace": ["", "x", "a b", "a/b", "x" * 300],
    "auth": ["", "of", "true"],
    "jwks": ["/no/such/file", "http://idp.example/keys", "https://", "https://a b/", "https://x:y"],
    "revocation_list": ["/no/such/file", "http://idp.example/list"],
    "introspection_url": ["idp.example", "http://idp.example/", "file:///x", "https://"],
    "default_tenant": ["", "  ", "a\nb"],
    "master_key": ["x", "a" * 44, "YQ==,YQ=="],
    "key_provider": ["", "vaultt"],
    "pii_attributes": ["note text", "-"],
    "retention": ["30", "productOrder=30", "ProductOrder", "ProductOrder=x", "ProductOrder=nan",
                  "ProductOrder=-1", "ProductOrder=inf"],
    "trusted_proxies": ["proxy", "10.0.0.1/8", "10.0.0.0/33", "::1/200"],
    "partial_status": ["", "204", "299", "206.0"],
    "required_attributes": ["", "all", "Filled", "none"],
    "callback_hosts": ["http://a.example", "a b", "*", "a.*.example", "a/b"],
    "callback_ports": ["x", "0", "-1", "65536", "1.5"],
    "own_addresses": ["tmf.example", "tmf.example:x", "tmf.example:0", "a/b:80", "u@a.example:80"],
    "element_networks": ["lab", "10.0.0.1/8"],
    "discovery_networks": ["everything", "10.0.0.1/8"],
    "audit_key_file": ["/no/such/file", "/"],
    "credentials_file": ["/no/such/file", "/"],
    "profiles_dir": ["/no/such/folder", "/etc/hosts"],
    "trap_relays": ["relay", "10.0.0.1/8"],
    "trap_host": ["", "a b", "http://x", "1.2.3.4:162", "-x"],
    "metrics_host": ["", "a b", "http://x", "[::1]"],
    "fulfilment_fallout": ["foo", "undo,unknown", "Undo"],
    "audit_remedy": ["", "foo", "None"],
    "handling": ["", "foo", "Strict"],
    "access_log": ["", "true", "ON"],
    "otlp_endpoint": ["collector:4318", "grpc://collector", "http://", "http://a b", "http://x:y"],
    "log_level": ["", "LOUD", "verbose", "10", "NOTSET"],
}  # fmt: skip


def invalid_values():
    for setting in fields(Settings):
        is_listed = setting.name in INVALID_TEXTS
        values = INVALID_TEXTS.get(setting.name) or INVALID_BY_TYPE.get(type(setting.default))
        assert values or setting.name in FREE_TEXT, f"{setting.name} accepts any value"
        for value in values or ():
            yield pytest.param(
                f"TMF_{setting.name.upper()}", value, id=f"{setting.name}={value[:20]!r}"
            )
        if is_listed:
            assert setting.name not in FREE_TEXT


def test_unset_variables_have_their_defaults():
    assert Settings.from_environment({}) == Settings()


def test_the_values_that_are_printed_are_accepted():
    """The defaults are valid, too; an empty file means none."""
    for setting in fields(Settings):
        default = setting.default
        text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        settings = Settings.from_environment({f"TMF_{setting.name.upper()}": text})
        assert settings == Settings(), setting.name


@pytest.mark.parametrize("level", ["debug", "WARNING"])
def test_a_log_level_is_accepted_in_any_case(level):
    assert Settings.from_environment({"TMF_LOG_LEVEL": level}).log_level == level


@pytest.mark.parametrize(("variable", "text"), list(invalid_values()))
def test_an_invalid_value_is_refused_with_its_variable_and_what_is_expected(variable, text):
    with pytest.raises(ValueError, match="expected ") as refused:
        Settings.from_environment({variable: text})
    message = str(refused.value)
    assert message.startswith(f"{variable}=")
    assert len(message) < 500


@pytest.mark.parametrize("variable", ["TMF_MASTER_KEY", "TMF_MONGODB_URI"])
def test_an_invalid_secret_is_not_repeated(variable):
    with pytest.raises(ValueError, match="expected ") as refused:
        Settings.from_environment({variable: "sesame"})
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("TMF_PAGE_LIMITT", "TMF_PAGE_LIMIT"),
        ("TMF_PAGELIMIT", "TMF_PAGE_LIMIT"),
        ("TMF_MONGO_URI", "TMF_MONGODB_URI"),
        ("tmf_log_level", "TMF_LOG_LEVEL"),
        ("TMF_CREDENTIALS_FIL", "TMF_CREDENTIALS_FILE"),
    ],
)
def test_an_unknown_variable_is_reported_with_the_nearest_name(variable, near):
    assert Settings.unknown_variables({variable: "1"}) == [
        f"{variable} is not a setting; did you mean {near}?"
    ]


def test_a_variable_like_no_setting_is_reported_with_the_command_that_lists_all():
    assert Settings.unknown_variables({"TMF_XYZZY": "1"}) == [
        "TMF_XYZZY is not a setting; `tmf settings` lists all"
    ]


def test_variables_that_others_read_are_not_reported():
    known = {f"TMF_{setting.name.upper()}": "" for setting in fields(Settings)}
    environment = known | {
        "TMF_CREDENTIAL_LAB": "",
        "TMF_FUZZ_EXAMPLES": "",
        "PATH": "",
        "TMFX": "",
    }
    assert Settings.unknown_variables(environment) == []


def test_a_tilde_is_the_home_of_the_user_unless_there_is_such_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/srv/somebody")
    environment = {"TMF_DATA_DIR": "~/data"}
    assert str(Settings.from_environment(environment).data_dir) == "/srv/somebody/data"
    (tmp_path / "~").mkdir()
    assert str(Settings.from_environment(environment).data_dir) == "~/data"
    assert str(Settings.from_environment({"TMF_DATA_DIR": "~x"}).data_dir) == "~x"


def test_names_of_files_can_be_any_bytes(tmp_path):
    file = tmp_path / os.fsdecode(b"a ,%\xff\n")
    file.write_text("{}")
    settings = Settings.from_environment({"TMF_CREDENTIALS_FILE": str(file)})
    assert settings.credentials_file == str(file)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TMF_PAGE_SIZE": "1001"}, "TMF_PAGE_SIZE=1001: .* TMF_PAGE_LIMIT, which is 1000"),
        ({"TMF_PAGE_SIZE": "60", "TMF_PAGE_LIMIT": "50"}, "TMF_PAGE_LIMIT, which is 50"),
        ({"TMF_RETRY_FIRST": "9", "TMF_RETRY_LONGEST": "8"}, "TMF_RETRY_LONGEST, which is 8"),
    ],
)
def test_a_setting_above_another_one_that_bounds_it_is_refused(environment, expected):
    with pytest.raises(ValueError, match=expected):
        Settings.from_environment(environment)


def test_a_smaller_bound_cuts_a_default():
    assert Settings.from_environment({"TMF_PAGE_LIMIT": "50"}).page_limit == 50
