"""Networks that a discovery over the API may scan."""

import pytest

from tmf_apis.network_operations.discovery_scope import DiscoveryScope, TargetNotPermitted
from tmf_apis.settings import Settings

LOCALHOST = ("127.0.0.1:1161", "[::1]:1161")


def scope(networks="", auth="on"):
    environment = {"TMF_AUTH": auth, "TMF_DISCOVERY_NETWORKS": networks}
    return DiscoveryScope.from_settings(Settings.from_environment(environment))


@pytest.mark.parametrize(
    "target",
    [
        "10.0.1.0", "10.0.0.255-10.0.1.1", "10.0.0.0/23", "[::ffff:10.9.0.1]:161", "[::1]:161",
        "localhost", "0x0a090001", "127.0.0.1",
    ],
)  # fmt: skip
def test_a_target_outside_of_the_permitted_networks_is_named(target):
    with pytest.raises(TargetNotPermitted) as error:
        scope("10.0.0.0/24, 2001:db8::/64").permitted_targets(["10.0.0.1:161", target])
    assert str(error.value).startswith(f"{target}: not in the networks")


def test_a_permitted_host_name_becomes_its_address():
    places = scope("127.0.0.0/8,::1/128,10.0.0.0/24").permitted_targets(
        ["10.0.0.8/31", "localhost:1161", "::ffff:10.0.0.1"]
    )
    assert [place.address for place in places] in (
        ["10.0.0.8", "10.0.0.9", localhost, "::ffff:10.0.0.1"] for localhost in LOCALHOST
    )


def test_without_authentication_everything_is_permitted_unless_networks_are_named():
    assert scope(auth="off").permitted_targets(["192.0.2.1"])
    for restricted in (scope(), scope("10.0.0.0/8", "off")):
        with pytest.raises(TargetNotPermitted):
            restricted.permitted_targets(["192.0.2.1"])


def test_a_malformed_network_is_refused_by_its_setting():
    with pytest.raises(ValueError, match=r"TMF_DISCOVERY_NETWORKS='10\.0\.0\.1/8'"):
        scope("10.0.0.1/8")
