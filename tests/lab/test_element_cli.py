"""An engineer before an element: every change is shown before, read back after, and kept."""

import json
import stat
import uuid

import pytest
from click.testing import CliRunner

from adapters.lab.demo_gateway import SimulatedDemoGateway
from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from tmf_apis.bulk_load.command import open_engine
from tmf_apis.cli import main
from tmf_apis.element_cli.transaction_store import TransactionNotFound, TransactionStore
from tmf_apis.element_cli.units import format_rate, format_setting, parse_setting
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

SERVICE = ("--service", "s-1", "--port", "sub1")
RATES = ("--set", "downstream=100M", "--set", "upstream=50M")


@pytest.fixture(scope="module")
def _stand():
    with SimulatedDemoGateway("gw-hand", trap_port=0) as stand:
        yield stand


@pytest.fixture
def gateway(_stand):
    """A simulated gateway without services, well behaved."""
    it = _stand._gateway
    for port in it.ports.values():
        port.tag, port.downstream_kbps, port.upstream_kbps, port.enabled = "", 0, 0, True
    it.fault_injection = type(it.fault_injection)()
    return it


@pytest.fixture
def tmf(gateway, tmp_path, monkeypatch):
    """Run ``tmf element`` on the gateway and return the outcome."""
    secrets = tmp_path / "credentials.json"
    secrets.write_text(json.dumps(gateway.credentials))
    monkeypatch.setenv("TMF_CREDENTIALS_FILE", str(secrets))
    monkeypatch.setenv("TMF_DATA_DIR", str(tmp_path / "data"))
    host, port = gateway.address
    where = ("--address", f"{host}:{port}", "--credentials", "gw-hand", "--option", "timeout=0.3",
             "--option", "retries=0")  # fmt: skip

    def run(command, *arguments, element=where, said=None):
        if command in {"rollback", "transactions"}:
            element = ()
        return CliRunner().invoke(main, ["element", command, *element, *arguments], input=said)

    return run


def transaction(outcome):
    return next(line for line in outcome.output.splitlines() if line.startswith("transaction"))[12:]


def test_an_element_says_what_it_is_and_consists_of(tmf):
    probed = tmf("probe")
    assert probed.exit_code == 0, probed.output
    assert "model     SIM-100" in probed.output
    seen = tmf("inventory")
    for word in ("sub1", "line card 1", "198.18.0.1/30", "core-1", "1 Gbit/s"):
        assert word in seen.output
    assert json.loads(tmf("inventory", "--json").output)["facts"]["name"] == "gw-hand"


def test_a_plan_is_shown_as_a_difference_and_touches_nothing(tmf, gateway):
    planned = tmf("plan", *SERVICE, *RATES)
    assert planned.exit_code == 0, planned.output
    assert "- downstream = no limit\n+ downstream = 100 Mbit/s\n" in planned.output
    assert "+ tag = s-1" in planned.output
    assert gateway.port("sub1").tag == ""


def test_a_change_is_asked_for_done_read_back_and_taken_back(tmf, gateway):
    refused = tmf("apply", *SERVICE, *RATES, said="n\n")
    assert (refused.exit_code, gateway.port("sub1").tag) == (1, "")
    assert "nothing was touched" in refused.output
    done = tmf("apply", *SERVICE, *RATES, said="y\n")
    assert done.exit_code == 0, done.output
    assert (gateway.port("sub1").tag, gateway.port("sub1").downstream_kbps) == ("s-1", 100_000)
    assert "is as asked: tag = s-1, downstream = 100 Mbit/s" in done.output
    assert tmf("verify", *SERVICE, *RATES).exit_code == 0
    assert "100 Mbit/s" in tmf("read").output
    back = tmf("rollback", transaction(done), "--yes")
    assert back.exit_code == 0, back.output
    assert "- downstream = 100 Mbit/s\n+ downstream = no limit\n" in back.output
    assert (gateway.port("sub1").tag, gateway.port("sub1").downstream_kbps) == ("", 0)
    assert "rolled back" in tmf("transactions").output


def test_a_change_that_is_there_already_is_only_read_back(tmf):
    assert tmf("apply", *SERVICE, *RATES, "--yes").exit_code == 0
    again = tmf("apply", *SERVICE, *RATES)
    assert again.exit_code == 0, again.output
    assert "nothing to change" in again.output
    assert "transaction" not in again.output


def test_a_service_is_taken_off(tmf, gateway):
    tmf("apply", *SERVICE, *RATES, "--yes")
    gone = tmf("apply", *SERVICE, "--gone", "--yes")
    assert gone.exit_code == 0, gone.output
    assert gateway.port("sub1").tag == ""
    assert tmf("read", "--service", "s-1").exit_code == 3


def test_a_lie_of_the_element_is_found_out_and_said(tmf, gateway):
    gateway.fault_injection.ignore_sets = True
    lied = tmf("apply", *SERVICE, *RATES, "--yes")
    assert lied.exit_code == 3
    assert "downstream is no limit instead of 100 Mbit/s" in lied.output
    assert "tmf element rollback" in lied.output


def test_half_of_a_change_is_kept_and_can_be_taken_back(tmf, gateway):
    gateway.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    half = tmf("apply", *SERVICE, *RATES, "--yes")
    assert half.exit_code == 6, half.output
    assert "part of the change is on the element" in half.output
    assert "sub1 upstream = 50000000: wrongValue" in half.output
    assert gateway.port("sub1").downstream_kbps == 100_000
    assert "stopped in the middle" in tmf("transactions").output
    assert tmf("rollback", transaction(half), "--yes").exit_code == 0
    assert (gateway.port("sub1").tag, gateway.port("sub1").downstream_kbps) == ("", 0)


def test_a_change_whose_answer_is_lost_can_be_taken_back(tmf, gateway):
    gateway.fault_injection.unanswered_sets[mib.IF_ALIAS] = 1
    lost = tmf("apply", *SERVICE, *RATES, "--yes")
    assert lost.exit_code == 6, lost.output
    assert gateway.port("sub1").tag == "s-1"
    assert tmf("rollback", transaction(lost), "--yes").exit_code == 0
    assert gateway.port("sub1").tag == ""


def test_what_somebody_else_changed_since_is_not_taken_back(tmf, gateway):
    done = tmf("apply", *SERVICE, *RATES, "--yes")
    gateway.port("sub1").downstream_kbps = 7000
    back = tmf("rollback", transaction(done), "--yes")
    assert back.exit_code == 5
    assert "look at it, then plan again" in back.output
    assert gateway.port("sub1").tag == "s-1"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--service", "s", "--port", "nine", "--set", "downstream=1M"), 1, "no port 'nine'"),
        ((*SERVICE, "--set", "colour=red"), 1, "has no colour"),
        ((*SERVICE, "--set", "downstream=fast"), 2, "such as 100M"),
        ((*SERVICE, "--set", "downstream"), 2, "NAME=VALUE"),
        ((*SERVICE, "--set", "downstream=1500"), 1, "in steps of 1000"),
        (("--port", "sub1"), 2, "--service"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(tmf, arguments, code, words):
    outcome = tmf("plan", *arguments)
    assert outcome.exit_code == code, outcome.output
    assert words in outcome.output
    assert "Traceback" not in outcome.output


def test_a_silent_element_and_one_without_credentials_say_what_to_check(tmf, gateway):
    gateway.fault_injection.silent = True
    silent = tmf("probe")
    assert silent.exit_code == 4
    assert "check that it runs" in silent.output
    unknown = tmf("probe", element=("--address", "127.0.0.1", "--credentials", "none"))
    assert unknown.exit_code == 1
    assert "no credentials 'none'" in unknown.output
    assert tmf("probe", element=()).exit_code == 2
    strange = tmf("probe", element=("--address", "127.0.0.1", "--adapter", "telepathy"))
    assert "no such adapter; there are" in strange.output


@pytest.fixture
def inventory(contracts, tmp_path_factory, tmp_path, mongodb_uri, monkeypatch):
    """The command finds the database of the tests, and contracts that are read already."""
    assert contracts
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cache").symlink_to(tmp_path_factory.getbasetemp() / "contracts")
    monkeypatch.setenv("TMF_MONGODB_URI", mongodb_uri)
    monkeypatch.setenv("TMF_MONGODB_DATABASE", f"engineer_{uuid.uuid4().hex[:8]}")
    return Settings.from_environment()


def test_an_element_of_the_inventory_goes_by_id_or_name(tmf, gateway, inventory):
    host, port = gateway.address
    values = {"managementAddress": f"{host}:{port}", "adapter": "snmp", "credentials": "gw-hand"}
    with open_engine(inventory) as made:
        desk = RepositoryFactory(made.writer, "test").for_tenant("default")
        for id, name in (("e-1", "gw-hand"), ("e-2", "gw-two"), ("e-3", "gw-two")):
            characteristics = [{"name": key, "value": one} for key, one in values.items()]
            desk.create("Resource", {
                "id": id, "@type": "PhysicalResource", "name": name, "category": "accessGateway",
                "resourceCharacteristic": characteristics,
            })  # fmt: skip
    assert "SIM-100" in tmf("probe", element=("gw-hand",)).output
    assert "say which: e-2, e-3" in tmf("probe", element=("gw-two",)).output
    assert "no element gw-nine" in tmf("probe", element=("gw-nine",)).output
    assert tmf("apply", *SERVICE, *RATES, "--yes", element=("e-1",)).exit_code == 0
    assert gateway.port("sub1").tag == "s-1"


def test_records_are_for_their_owner_only_and_a_broken_one_is_told(tmf, tmp_path):
    done = tmf("apply", *SERVICE, *RATES, "--yes")
    folder = tmp_path / "data" / "transactions"
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "simulated" not in file.read_text()  # the community
    records = TransactionStore(tmp_path / "data")
    assert records.get(transaction(done)).state == "applied"
    (folder / "broken.json").write_text("{}")
    assert len(records.all()) == 1
    with pytest.raises(TransactionNotFound, match="is not a transaction"):
        records.get("broken")
    missing = tmf("rollback", "../secrets", "--yes")
    assert missing.exit_code == 1
    assert "no transaction ../secrets" in missing.output


def test_the_adapters_are_listed_with_what_they_can_do():
    listed = CliRunner().invoke(main, ["adapters"])
    assert "adapters.snmp:SnmpElement" in listed.output
    found = json.loads(CliRunner().invoke(main, ["adapters", "--json"]).output)
    assert "snmp" in {one["name"] for one in found}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("downstream=1.5G", ("downstream", 1_500_000_000)),
        ("upstream = 64 kbit/s", ("upstream", 64_000)),
        ("downstream=0", ("downstream", 0)),
        ("vlan=100", ("vlan", 100)),
        ('name="100"', ("name", "100")),
        ('label="100M"', ("label", "100M")),
        ("msisdn=491700000000", ("msisdn", "491700000000")),
        ("enabled=Off", ("enabled", False)),
        ("packetSwitched=yes", ("packetSwitched", True)),
        ("profile=gold", ("profile", "gold")),
    ],
)
def test_settings_are_written_as_people_write_them(text, expected):
    assert parse_setting(text) == expected
    assert type(parse_setting(text)[1]) is type(expected[1])


@pytest.mark.parametrize("text", ["downstream=1.5", "=7", "downstream=", "upstream=quick"])
def test_what_is_no_setting_is_refused(text):
    with pytest.raises(ValueError, match="=") as caught:
        parse_setting(text)
    assert text in str(caught.value)


@pytest.mark.parametrize("bits", [1, 999, 1000, 64_000, 1_500_000, 10**9, 123_456_789])
def test_a_rate_that_is_shown_can_be_written_again(bits):
    assert parse_setting(f"downstream={format_rate(bits)}") == ("downstream", bits)
    assert format_setting("vlan", bits) == str(bits)
