"""Types of element that are described by data alone."""

import json
import re

import pytest

from adapters.credentials import Secret
from adapters.errors import Misconfigured, Rejected
from adapters.lab import SnmpLab, lab_unavailable_reason
from adapters.snmp import mib
from adapters.snmp.element import SnmpElement
from adapters.snmp.profile import BROADBAND_GATEWAY
from adapters.snmp.profile_files import FOLDER_VARIABLE, find_profile, load_profile
from adapters.snmp.simulator import SimulatedGateway
from adapters.testing import AdapterContract, provide
from adapters.values import Intent, Target
from tests.support.paths import ROOT

pytestmark = pytest.mark.anyio
DOCUMENT = ROOT / "docs" / "adapters.md"
#: The simulated gateway as another vendor might see it: speeds have names.
NAMED = {
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


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


def written(folder, content, name="named-speeds"):
    file = folder / f"{name}.json"
    file.write_text(json.dumps(content))
    return file


@pytest.fixture
async def element(tmp_path, monkeypatch, anyio_backend):
    """The simulated gateway through a description in the operator's folder."""
    written(tmp_path, NAMED)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    async with SimulatedGateway(ports=3) as gateway:
        host, port = gateway.address
        target = Target("gw", f"{host}:{port}", options={"profile": "named-speeds"})
        async with SnmpElement(target, Secret({"community": "simulated"})) as element:
            yield element


class TestElementOfAFile(AdapterContract):
    settings = {"speed": "gold"}  # noqa: RUF012 - as AdapterContract has it
    changed = {"speed": "silver"}  # noqa: RUF012
    wrong = {"speed": "lead"}  # noqa: RUF012

    @pytest.fixture
    def adapter(self, element):
        return element

    @pytest.fixture
    def ports(self):
        return ("sub1", "sub2")

    async def test_a_service_is_switched_off_and_on(self, adapter):
        with pytest.raises(Rejected, match="has no enabled"):
            await adapter.plan(Intent("service-1", "sub1", {"enabled": False}))

    async def test_a_service_that_is_switched_off_leaves_its_port_switched_on(self, adapter):
        assert all(port.enabled for port in (await adapter.inventory()).ports)

    async def test_a_port_that_is_switched_off_is_no_fault(self, adapter):
        assert await adapter.active_conditions() == []


async def test_ports_for_services_go_by_their_names(element):
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
async def test_what_the_element_cannot_hold_is_refused_before_it_is_asked(
    element, service, settings, message
):
    with pytest.raises(Rejected, match=message):
        await element.plan(Intent(service, "sub1", settings))


@pytest.mark.skipif(lab_unavailable_reason() is not None, reason=str(lab_unavailable_reason()))
async def test_a_real_agent_without_a_table_of_its_own_is_described_by_a_file(
    tmp_path, monkeypatch
):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    written(tmp_path, {
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


def test_the_description_in_the_documents_is_one(tmp_path):
    text = DOCUMENT.read_text("utf-8")
    found = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    (example,) = (one for one in found if "example-dslam" in one)
    profile = load_profile(written(tmp_path, json.loads(example)))
    assert profile.name == "example-dslam"
    assert profile.attribute("downstream").encode(640_000) == 10


def test_a_description_may_leave_out_tag_and_counters(tmp_path):
    profile = load_profile(written(tmp_path, {"name": "bare", "attributes": []}))
    assert [one.name for one in profile.attributes] == ["tag"]
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
def test_a_slip_of_the_pen_is_told_and_where(tmp_path, change, message):
    content = {**NAMED, **change} if isinstance(change, dict) else change
    with pytest.raises(ValueError, match=r"named-speeds\.json is not a profile: .*" + message):
        load_profile(written(tmp_path, content))


def test_a_file_that_is_not_json_is_told(tmp_path):
    (tmp_path / "x.json").write_text("{" * 100_000)
    with pytest.raises(ValueError, match="is not a profile"):
        load_profile(tmp_path / "x.json")


def test_an_unknown_type_names_those_that_there_are(tmp_path):
    written(tmp_path, NAMED)
    with pytest.raises(ValueError, match="there are broadband-gateway, named-speeds"):
        find_profile("nameless", {FOLDER_VARIABLE: str(tmp_path)})
    with pytest.raises(ValueError, match=r"no profile '\.\./named-speeds'"):
        find_profile("../named-speeds", {FOLDER_VARIABLE: str(tmp_path / "x")})
    with pytest.raises(Misconfigured, match="no profile 'nameless'"):
        SnmpElement(Target("gw", "h", options={"profile": "nameless"}), Secret({"community": "c"}))
