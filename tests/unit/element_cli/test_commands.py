"""The commands ``tmf element`` and ``tmf adapters`` on a simulated gateway."""

import json
import stat

import pytest
from click.testing import CliRunner

from adapters.lab.demo_gateway import SimulatedDemoGateway
from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from tests.support.element_cli import ElementCommands, reset_gateway, transaction_id
from tmf_apis.cli import main
from tmf_apis.element_cli.transaction_store import TransactionNotFound, TransactionStore

SERVICE = ("--service", "s-1", "--port", "sub1")
RATES = ("--set", "downstream=100M", "--set", "upstream=50M")


@pytest.fixture(scope="module")
def _demo_gateway():
    with SimulatedDemoGateway("gw-hand", trap_port=0) as demo_gateway:
        yield demo_gateway


@pytest.fixture
def gateway(_demo_gateway):
    """A simulated gateway without services and faults."""
    return reset_gateway(_demo_gateway._gateway)


@pytest.fixture
def tmf(gateway, tmp_path, monkeypatch):
    """Run ``tmf element`` on the gateway and return the result."""
    return ElementCommands(gateway, tmp_path, monkeypatch)


def test_probe_and_inventory_show_the_element(tmf):
    probed = tmf("probe")
    assert probed.exit_code == 0, probed.output
    assert "model     SIM-100" in probed.output
    inventory = tmf("inventory")
    for word in ("sub1", "line card 1", "198.18.0.1/30", "core-1", "1 Gbit/s"):
        assert word in inventory.output
    assert json.loads(tmf("inventory", "--json").output)["facts"]["name"] == "gw-hand"


def test_a_plan_is_shown_as_a_difference_and_changes_nothing(tmf, gateway):
    planned = tmf("plan", *SERVICE, *RATES)
    assert planned.exit_code == 0, planned.output
    assert "- downstream = no limit\n+ downstream = 100 Mbit/s\n" in planned.output
    assert "+ tag = s-1" in planned.output
    assert gateway.port("sub1").tag == ""


def test_a_change_is_confirmed_applied_verified_and_rolled_back(tmf, gateway):
    refused = tmf("apply", *SERVICE, *RATES, answer="n\n")
    assert (refused.exit_code, gateway.port("sub1").tag) == (1, "")
    assert "nothing was changed" in refused.output
    done = tmf("apply", *SERVICE, *RATES, answer="y\n")
    assert done.exit_code == 0, done.output
    assert (gateway.port("sub1").tag, gateway.port("sub1").downstream_kbps) == ("s-1", 100_000)
    assert "is as expected: tag = s-1, downstream = 100 Mbit/s" in done.output
    assert tmf("verify", *SERVICE, *RATES).exit_code == 0
    assert "100 Mbit/s" in tmf("read").output
    back = tmf("rollback", transaction_id(done), "--yes")
    assert back.exit_code == 0, back.output
    assert "- downstream = 100 Mbit/s\n+ downstream = no limit\n" in back.output
    assert (gateway.port("sub1").tag, gateway.port("sub1").downstream_kbps) == ("", 0)
    assert "rolled back" in tmf("transactions").output


def test_a_change_without_steps_is_only_verified(tmf):
    assert tmf("apply", *SERVICE, *RATES, "--yes").exit_code == 0
    repeated = tmf("apply", *SERVICE, *RATES)
    assert repeated.exit_code == 0, repeated.output
    assert "nothing to change" in repeated.output
    assert "transaction" not in repeated.output


def test_a_service_is_removed(tmf, gateway):
    tmf("apply", *SERVICE, *RATES, "--yes")
    removed = tmf("apply", *SERVICE, "--gone", "--yes")
    assert removed.exit_code == 0, removed.output
    assert gateway.port("sub1").tag == ""
    assert tmf("read", "--service", "s-1").exit_code == 3


def test_an_ignored_change_is_detected(tmf, gateway):
    gateway.fault_injection.ignore_sets = True
    ignored = tmf("apply", *SERVICE, *RATES, "--yes")
    assert ignored.exit_code == 3
    assert "downstream is no limit instead of 100 Mbit/s" in ignored.output
    assert "tmf element rollback" in ignored.output


def test_a_partial_change_is_recorded_and_can_be_rolled_back(tmf, gateway):
    gateway.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    partial = tmf("apply", *SERVICE, *RATES, "--yes")
    assert partial.exit_code == 6, partial.output
    assert "part of the change is on the element" in partial.output
    assert "sub1 upstream = 50000000: wrongValue" in partial.output
    assert gateway.port("sub1").downstream_kbps == 100_000
    assert "stopped in the middle" in tmf("transactions").output
    assert tmf("rollback", transaction_id(partial), "--yes").exit_code == 0
    assert (gateway.port("sub1").tag, gateway.port("sub1").downstream_kbps) == ("", 0)


def test_a_change_without_an_answer_can_be_rolled_back(tmf, gateway):
    gateway.fault_injection.unanswered_sets[mib.IF_ALIAS] = 1
    unanswered = tmf("apply", *SERVICE, *RATES, "--yes", timeout="0.3")
    assert unanswered.exit_code == 6, unanswered.output
    assert gateway.port("sub1").tag == "s-1"
    assert tmf("rollback", transaction_id(unanswered), "--yes").exit_code == 0
    assert gateway.port("sub1").tag == ""


def test_a_rollback_is_refused_after_another_change(tmf, gateway):
    done = tmf("apply", *SERVICE, *RATES, "--yes")
    gateway.port("sub1").downstream_kbps = 7000
    back = tmf("rollback", transaction_id(done), "--yes")
    assert back.exit_code == 5
    assert "check the element, then plan again" in back.output
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
def test_an_impossible_plan_is_refused_with_a_reason(tmf, arguments, code, words):
    result = tmf("plan", *arguments)
    assert result.exit_code == code, result.output
    assert words in result.output
    assert "Traceback" not in result.output


def test_errors_of_the_connection_come_with_advice(tmf, gateway):
    gateway.fault_injection.silent = True
    silent = tmf("probe", timeout="0.3")
    assert silent.exit_code == 4
    assert "check that it runs" in silent.output
    unknown = tmf("probe", element=("--address", "127.0.0.1", "--credentials", "none"))
    assert unknown.exit_code == 1
    assert "no credentials 'none'" in unknown.output
    assert tmf("probe", element=()).exit_code == 2
    unknown_adapter = tmf("probe", element=("--address", "127.0.0.1", "--adapter", "telepathy"))
    assert "no such adapter; there are" in unknown_adapter.output


def test_records_are_private_and_an_invalid_one_is_reported(tmf, tmp_path):
    done = tmf("apply", *SERVICE, *RATES, "--yes")
    folder = tmp_path / "data" / "transactions"
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "simulated" not in file.read_text()  # the community
    records = TransactionStore(tmp_path / "data")
    assert records.get(transaction_id(done)).state == "applied"
    (folder / "broken.json").write_text("{}")
    assert len(records.all()) == 1
    with pytest.raises(TransactionNotFound, match="is not a transaction"):
        records.get("broken")
    missing = tmf("rollback", "../secrets", "--yes")
    assert missing.exit_code == 1
    assert "no transaction ../secrets" in missing.output


def test_the_adapters_are_listed():
    listed = CliRunner().invoke(main, ["adapters"])
    assert "adapters.snmp:SnmpElement" in listed.output
    adapters = json.loads(CliRunner().invoke(main, ["adapters", "--json"]).output)
    assert "snmp" in {adapter["name"] for adapter in adapters}
