"""Profiles in files: types of SNMP element that need no code."""

import json
import re
from typing import ClassVar

import pytest

from adapters.credentials import Secret
from adapters.errors import Misconfigured, Rejected
from adapters.lab import SnmpLab, lab_unavailable_reason
from adapters.profile_folder import FOLDER_VARIABLE
from adapters.snmp import mib
from adapters.snmp.element import SnmpElement
from adapters.snmp.profile import BROADBAND_GATEWAY
from adapters.snmp.profile_files import find_profile, load_profile
from adapters.snmp.simulator import SimulatedGateway
from adapters.testing import AdapterContract, provide
from adapters.values import Intent, Target
from tests.support.paths import ROOT

pytestmark = pytest.mark.anyio
DOCUMENT = ROOT / "docs" / "adapters.md"
#: Another profile of the simulated gateway, in which speeds have names.
NAMED_SPEEDS = {
    "name": "named-speeds",
    "vendor": "example",
    "access": "^sub[12]$",
    "attributes": [
        {"name": "tag", "column": mib.IF_ALIAS, "syntax": "octets", "absent": "", "most": 20},
        {
            "name": "speed",
            "column": mib.SVC_DOWN_KBPS,
            "key": mib.SVC_IF_NAME,
            "syntax": "gauge",
            "values": {"none": 0, "silver": 50_000, "gold": 100_000},
            "absent": "none",
        },
        {
            "name": "upstream",
            "column": mib.SVC_UP_KBPS,
            "key": mib.SVC_IF_NAME,
            "syntax": "gauge",
            "scale": 1000,
            "least": 1_000_000,
            "most": 50_000_000,
        },
    ],
}


def write_profile(folder, content, name="named-speeds"):
    file = folder / f"{name}.json"
    file.write_text(json.dumps(content))
    return file


@pytest.fixture
async def element(tmp_path, monkeypatch, anyio_backend):
    """An adapter for the simulated gateway, with a profile of the operator's folder."""
    write_profile(tmp_path, NAMED_SPEEDS)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    async with SimulatedGateway(ports=3) as gateway:
        host, port = gateway.address
        target = Target("gw", f"{host}:{port}", options={"profile": "named-speeds"})
        async with SnmpElement(target, Secret({"community": "simulated"})) as element:
            yield element


class TestElementWithProfileFile(AdapterContract):
    switched: ClassVar = {}  # the profile has no "enabled"
    settings = {"speed": "gold"}  # noqa: RUF012 - as AdapterContract has it
    changed = {"speed": "silver"}  # noqa: RUF012
    wrong = {"speed": "lead"}  # noqa: RUF012

    @pytest.fixture
    def adapter(self, element):
        return element

    @pytest.fixture
    def ports(self):
        return ("sub1", "sub2")

    async def test_a_service_is_suspended_and_resumed(self, adapter):
        with pytest.raises(Rejected, match="has no enabled"):
            await adapter.plan(Intent("service-1", "sub1", {"enabled": False}))

    async def test_removing_a_suspended_service_enables_its_port(self, adapter):
        assert all(port.enabled for port in (await adapter.inventory()).ports)

    async def test_a_disabled_port_is_no_active_condition(self, adapter):
        assert await adapter.active_conditions() == []


async def test_the_names_of_ports_decide_which_can_carry_services(element):
    access = [port.name for port in (await element.inventory()).ports if port.access]
    assert access == ["sub1", "sub2"]


@pytest.mark.parametrize(
    ("service", "settings", "message"),
    [
        ("s", {"speed": "lead"}, "not one of none, silver, gold"),
        ("s", {"speed": 7}, "not a text"),
        ("s", {"upstream": 60_000_000}, "more than 50000000"),
        ("s", {"upstream": 1000}, "below 1000000"),
        ("s", {"upstream": 1_000_001}, "in steps of 1000"),
        ("a name with more than twenty octets", {}, "more than 20 octets"),
    ],
)
async def test_a_value_that_the_element_cannot_store_is_refused_in_the_plan(
    element, service, settings, message
):
    with pytest.raises(Rejected, match=message):
        await element.plan(Intent(service, "sub1", settings))


@pytest.mark.skipif(lab_unavailable_reason() is not None, reason=str(lab_unavailable_reason()))
async def test_a_profile_file_describes_a_real_agent_without_a_private_table(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    write_profile(tmp_path, {
        "name": "plain-ports",
        "access": "^sub",
        "attributes": [
            {"name": "enabled", "column": mib.IF_ADMIN_STATUS, "syntax": "truth", "absent": True}
        ],
    })  # fmt: skip
    with SnmpLab("gw-plain", ports=1) as lab:
        target = Target("gw", lab.target.address, options={"profile": "named-speeds"})
        async with SnmpElement(target, Secret(lab.credentials["gw-plain"])) as element:
            off = Intent("service-1", "sub1", {"enabled": False})
            transaction = await provide(element, off)
            assert (await element.verify(off)).good
            await element.rollback(transaction)
            assert await element.services() == []


def test_the_example_in_the_documentation_is_a_valid_profile(tmp_path):
    text = DOCUMENT.read_text("utf-8")
    blocks = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    (example,) = (block for block in blocks if "example-dslam" in block)
    profile = load_profile(write_profile(tmp_path, json.loads(example)))
    assert profile.name == "example-dslam"
    assert profile.attribute("downstream").encode(640_000) == 10


def test_tag_and_counters_of_a_profile_have_defaults(tmp_path):
    profile = load_profile(write_profile(tmp_path, {"name": "bare", "attributes": []}))
    assert [attribute.name for attribute in profile.attributes] == ["tag"]
    assert profile.counters == BROADBAND_GATEWAY.counters


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ([], "expected an object"),
        ({"name": ""}, "name: expected a text"),
        ({"colour": "red"}, "no such member: colour"),
        ({"access": "("}, "access: "),
        ({"attributes": [{"name": "x"}]}, "column"),
        ({"attributes": [{"name": "x", "column": "1.3.x", "syntax": "gauge"}]}, "object identif"),
        ({"attributes": [{"name": "x", "column": "1.3.6", "syntax": "float"}]}, "syntax is one of"),
        ({"attributes": [{"name": "x", "column": "1.3.6", "syntax": "gauge", "scale": 0}]},
         "scale is"),
        ({"attributes": [{"name": "x", "column": "1.3.6", "syntax": "gauge", "absent": "no"}]},
         "absent is not a whole number"),
        ({"attributes": [{"name": "x", "column": "1.3.6", "syntax": "octets", "values": {"a": 1}}]},
         "values are numbers"),
        ({"attributes": [{"name": "x", "column": "1.3.6", "syntax": "octets"}] * 2},
         "described twice"),
        ({"counters": [{"name": "x", "column": "octets", "unit": "octets"}]}, "object identifier"),
        ({"attributes": ["tag"]}, "expected an object with absent"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_profile_is_reported_with_its_file_and_member(tmp_path, change, message):
    content = {**NAMED_SPEEDS, **change} if isinstance(change, dict) else change
    with pytest.raises(ValueError, match=r"named-speeds\.json is not a profile: .*" + message):
        load_profile(write_profile(tmp_path, content))


def test_a_profile_that_is_not_json_is_reported(tmp_path):
    (tmp_path / "x.json").write_text("{" * 100_000)
    with pytest.raises(ValueError, match="is not a profile"):
        load_profile(tmp_path / "x.json")


def test_an_unknown_profile_name_is_reported_with_the_known_ones(tmp_path):
    write_profile(tmp_path, NAMED_SPEEDS)
    with pytest.raises(ValueError, match="there are broadband-gateway, named-speeds"):
        find_profile("nameless", {FOLDER_VARIABLE: str(tmp_path)})
    with pytest.raises(ValueError, match=r"no profile '\.\./named-speeds'"):
        find_profile("../named-speeds", {FOLDER_VARIABLE: str(tmp_path / "x")})
    with pytest.raises(Misconfigured, match="no profile 'nameless'"):
        SnmpElement(Target("gw", "h", options={"profile": "nameless"}), Secret({"community": "c"}))
