"""Tenants and networks of credentials and elements: pure checks, and the refusal of connections."""

import asyncio
import json
import logging
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from adapters.credentials import Credentials
from adapters.errors import Misconfigured, Unreachable
from adapters.values import Target
from tmf_apis.element_access import access_policy
from tmf_apis.element_access.access_policy import (
    COMMAND_LINE,
    UNRESTRICTED,
    AccessPolicy,
    NotPermitted,
    checked_address,
    checked_target,
    create_adapter,
)
from tmf_apis.settings import Settings

LAB = (ip_network("198.18.0.0/24"),)
CLOSED = AccessPolicy(allow_local=False, default_tenants=frozenset({"default"}))
SECRETS = {
    "plain": {"community": "c"},
    "acme": {"community": "c", "tenants": ["acme"]},
    "all": {"community": "c", "tenants": ["*"]},
    "lab": {"community": "c", "networks": ["198.18.0.0/24"]},
    "loop": {"community": "c", "networks": ["127.0.0.0/8"]},
}


@pytest.fixture
def credentials(tmp_path):
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(SECRETS))
    return Credentials(file, {})


def target(address="198.18.0.1:161", credentials="plain", tenant="default", **options):
    adapter = "snmp" if credentials else "ovsdb"  # which works without credentials
    return Target("gw", address, adapter, credentials, options, tenant)


def is_permitted(secrets, policy, **more):
    """Return whether both ways of connecting permit a target; they always agree."""
    results = []
    for connect in (
        lambda: checked_target(target(**more), secrets, policy),
        lambda: asyncio.run(create_adapter(target(**more), secrets, policy)),
    ):
        try:
            connect()
        except NotPermitted:
            results.append(False)
        else:
            results.append(True)
    assert results[0] == results[1]
    return results[0]


@pytest.mark.parametrize(
    ("name", "tenant", "policy", "permitted"),
    [
        ("plain", "default", CLOSED, True),
        ("plain", "acme", CLOSED, False),
        ("plain", "", CLOSED, False),
        ("plain", "acme", UNRESTRICTED, True),
        ("acme", "acme", CLOSED, True),
        ("acme", "default", CLOSED, False),
        ("acme", "default", UNRESTRICTED, False),
        ("acme", "", COMMAND_LINE, True),
        ("all", "acme", CLOSED, True),
        ("", "acme", CLOSED, True),
    ],
)
def test_credentials_are_used_for_their_tenants_only(credentials, name, tenant, policy, permitted):
    assert is_permitted(credentials, policy, credentials=name, tenant=tenant) == permitted


@pytest.mark.parametrize(
    ("address", "name", "policy", "permitted"),
    [
        ("10.0.0.1", "plain", CLOSED, True),
        ("127.0.0.1:161", "plain", CLOSED, False),
        ("[::1]:161", "plain", CLOSED, False),
        ("::ffff:127.0.0.1", "plain", CLOSED, False),
        ("169.254.169.254", "plain", CLOSED, False),
        ("0.0.0.0", "plain", CLOSED, False),  # noqa: S104 - refused
        ("127.0.0.1", "loop", CLOSED, True),
        ("10.0.0.1", "loop", CLOSED, False),
        ("127.0.0.1", "plain", UNRESTRICTED, True),
        ("10.0.0.1", "lab", UNRESTRICTED, False),
        ("10.0.0.1", "lab", COMMAND_LINE, False),
        ("198.18.0.1:1161", "lab", CLOSED, True),
        ("10.0.0.1", "plain", AccessPolicy(networks=LAB), False),
        ("198.18.0.9", "plain", AccessPolicy(networks=LAB), True),
        ("127.0.0.1", "loop", AccessPolicy(networks=LAB), False),
    ],
)
def test_elements_are_in_permitted_networks_only(credentials, address, name, policy, permitted):
    assert is_permitted(credentials, policy, address=address, credentials=name) == permitted


@pytest.mark.parametrize("option", ["gsup", "vty", "testAddress"])
@pytest.mark.parametrize("text", ["127.0.0.1:4222", "sub1=10.0.0.1:5201 sub2=127.0.0.1"])
def test_addresses_in_options_are_checked_too(credentials, option, text):
    with pytest.raises(NotPermitted, match=r"127\.0\.0\.1 is loopback"):
        checked_target(target(**{option: text}), credentials, CLOSED)
    for harmless in ("4222", "none", "sub1=10.0.0.1:5201"):
        checked, _ = checked_target(target(**{option: harmless}), credentials, CLOSED)
        assert checked.options == {option: harmless}


def test_the_connection_goes_to_the_checked_address(credentials, monkeypatch):
    addresses = {"gw.lab": "198.18.0.7", "head.lab": "2001:db8::1"}

    def resolve(host):
        return [ip_address(addresses.get(host, host))]

    async def resolve_async(host):
        return resolve(host)

    monkeypatch.setattr(access_policy, "resolve_host", resolve)
    monkeypatch.setattr(access_policy, "resolve_host_async", resolve_async)
    named = target("gw.lab:161", testAddress="sub1=head.lab:5201 sub2=10.0.0.1")
    policy = AccessPolicy(networks=(*LAB, ip_network("2001:db8::/32"), ip_network("10.0.0.0/8")))
    checked, _ = checked_target(named, credentials, policy)
    assert checked.address == "198.18.0.7:161"
    assert checked.options["testAddress"] == "sub1=[2001:db8::1]:5201 sub2=10.0.0.1"
    adapter = asyncio.run(create_adapter(named, credentials, policy))
    assert adapter.target.address == "198.18.0.7:161"
    assert asyncio.run(checked_address(named, "head.lab:5201", policy)) == "[2001:db8::1]:5201"
    addresses["gw.lab"] = "127.0.0.1"
    with pytest.raises(NotPermitted):
        checked_target(named, credentials, policy)


def test_a_name_that_does_not_resolve_is_unreachable(credentials):
    with pytest.raises(Unreachable, match="cannot be resolved"):
        checked_target(target("gw.invalid"), credentials, CLOSED)


def test_a_refusal_is_logged_and_does_not_tell_of_other_tenants(credentials, caplog):
    caplog.set_level(logging.WARNING)
    policy = replace(CLOSED)
    for _ in range(2):
        with pytest.raises(NotPermitted) as foreign:
            checked_target(target(credentials="acme"), credentials, policy)
    assert foreign.value.message == "no credentials 'acme' for tenant 'default'"
    (record,) = caplog.records
    assert (record.element, record.credentials, record.tenant) == ("gw", "acme", "default")


@pytest.mark.parametrize(
    "members", [{"tenants": "acme"}, {"tenants": [1]}, {"networks": ["10.0.0.1/8"]},
                {"networks": "10.0.0.0/8"}]
)  # fmt: skip
def test_malformed_members_of_credentials_are_refused(members):
    environment = {"TMF_CREDENTIAL_GW": json.dumps({"community": "secret", **members})}
    with pytest.raises(Misconfigured) as refusal:
        Credentials("", environment).entry("gw")
    assert "secret" not in str(refusal.value)


def test_tenants_and_networks_are_not_secrets(credentials):
    assert dict(credentials.get("lab")) == {"community": "c"}


@pytest.mark.parametrize(
    ("settings", "networks", "allow_local"),
    [
        ({"auth": "off"}, (), True),
        ({"auth": "on"}, (), False),
        ({"auth": "on", "discovery_networks": LAB}, LAB, False),
        ({"auth": "off", "element_networks": LAB}, LAB, True),
        ({"element_networks": LAB, "discovery_networks": CLOSED.networks}, LAB, False),
    ],
)
def test_the_settings_give_the_policy(settings, networks, allow_local):
    policy = AccessPolicy.from_settings(Settings(**settings))
    assert (policy.networks, policy.allow_local) == (networks, allow_local)
