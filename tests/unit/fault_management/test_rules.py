"""What an alarm says about what an element reports."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from adapters.observations import RawFault
from adapters.snmp import mib
from adapters.snmp.traps import Notification
from tmf_apis.fault_management.rules import (
    RULES,
    UNMAPPED_RULE,
    UNREACHABLE_RULE,
    Effect,
    report_from_condition,
    report_from_notification,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PORTS = {3: "sub1", 4: "sub2"}
CONTRACT = Path("openapi/TMF642-v5.yaml")


def report(trap, variables=None, **more):
    facts = {"uptime": 10.0, "boots": 2, "sender": "tmf", "inform": False} | more
    return Notification("gw", "192.0.2.1", trap, variables or {}, received_at=NOW, **facts)


def link(trap, admin=mib.UP, index=3, name=b"sub1"):
    return report(
        trap,
        {
            f"{mib.IF_INDEX}.{index}": index,
            f"{mib.IF_ADMIN_STATUS}.{index}": admin,
            f"{mib.IF_DESCR}.{index}": name,
        },
    )


def test_a_lost_link_is_a_major_communications_alarm_on_the_port():
    facts = report_from_notification(link(mib.LINK_DOWN), PORTS)
    assert (facts.alarm_type, facts.probable_cause, facts.severity) == (
        "communicationsAlarm",
        "lossOfSignal",
        "major",
    )
    assert (facts.effect, facts.port, facts.event_time) == (Effect.RAISE, "sub1", NOW)
    assert "sub1" in facts.text


def test_the_link_that_comes_back_clears_the_same_alarm():
    down, up = (
        report_from_notification(link(trap), PORTS) for trap in (mib.LINK_DOWN, mib.LINK_UP)
    )
    assert up.key == down.key
    assert (up.effect, up.severity) == (Effect.CLEAR, "cleared")


def test_a_port_that_was_switched_off_is_no_fault_and_clears_one():
    facts = report_from_notification(link(mib.LINK_DOWN, admin=mib.DOWN), PORTS)
    assert facts.administratively_down
    assert (facts.effect, facts.key) == (
        Effect.CLEAR,
        report_from_notification(link(mib.LINK_DOWN), PORTS).key,
    )


def test_the_instance_counts_and_not_the_value_in_the_report():
    lying = report(mib.LINK_DOWN, {f"{mib.IF_INDEX}.4": 3})
    assert report_from_notification(lying, PORTS).port == "sub2"


@pytest.mark.parametrize(
    ("variables", "ports", "port"),
    [
        ({f"{mib.IF_INDEX}.9": 9, f"{mib.IF_NAME}.9": b"ge-0/0/9"}, PORTS, "ge-0/0/9"),
        ({f"{mib.IF_INDEX}.9": 9}, PORTS, "ifIndex 9"),
        ({f"{mib.IF_INDEX}.0": 3}, PORTS, "sub1"),
        ({f"{mib.IF_DESCR}.9": b""}, {}, "ifIndex 9"),
        ({}, PORTS, "unknown port"),
    ],
)
def test_a_port_is_named_as_well_as_can_be(variables, ports, port):
    assert report_from_notification(report(mib.LINK_DOWN, variables), ports).port == port


@pytest.mark.parametrize("trap", [mib.COLD_START, mib.WARM_START])
def test_a_start_passes_by_itself_and_asks_for_a_new_look(trap):
    facts = report_from_notification(report(trap), {})
    assert (facts.self_clearing, facts.needs_resync, facts.severity, facts.port) == (
        True,
        True,
        "warning",
        "",
    )


def test_a_failed_login_is_a_security_alarm():
    facts = report_from_notification(report(mib.AUTHENTICATION_FAILURE), {})
    assert (facts.alarm_type, facts.probable_cause) == ("securityService", "authenticationFailure")


def test_an_unknown_trap_is_an_alarm_all_the_same():
    facts = report_from_notification(
        report("1.3.6.1.4.1.9.9.9", {"1.3.6.1.4.1.9.1.0": b"\xff\x00"}), {}
    )
    assert (facts.effect, facts.severity) == (Effect.RAISE, "indeterminate")
    assert facts.specific_problem == "unmapped trap 1.3.6.1.4.1.9.9.9"
    assert "1.3.6.1.4.1.9.1.0=ff00" in facts.text


def test_unknown_traps_of_two_kinds_are_two_alarms():
    one, other = (report_from_notification(report(f"1.3.6.1.4.1.9.9.{n}"), {}) for n in (1, 2))
    assert one.key != other.key


def test_the_same_event_sent_twice_is_known_as_one():
    trap, inform = link(mib.LINK_DOWN), link(mib.LINK_DOWN)
    assert (
        report_from_notification(trap, PORTS).event_id
        == report_from_notification(inform, PORTS).event_id
    )
    later = report(mib.LINK_DOWN, link(mib.LINK_DOWN).variables, uptime=11.0)
    assert (
        report_from_notification(later, PORTS).event_id
        != report_from_notification(trap, PORTS).event_id
    )


@pytest.mark.parametrize(
    ("active", "effect", "severity"),
    [(True, Effect.RAISE, "major"), (False, Effect.CLEAR, "cleared")],
)
def test_a_condition_found_by_looking_is_the_same_alarm(active, effect, severity):
    facts = report_from_condition(RawFault("gw", mib.LINK_DOWN, "sub1", active, NOW))
    assert facts.key == report_from_notification(link(mib.LINK_DOWN), PORTS).key
    assert (facts.effect, facts.severity) == (effect, severity)


def test_an_unknown_condition_is_an_alarm_all_the_same():
    facts = report_from_condition(RawFault("gw", "1.3.6.1.4.1.9.9.9", "", active=True, seen_at=NOW))
    assert facts.specific_problem == "unmapped trap 1.3.6.1.4.1.9.9.9"
    assert facts.text == "unmapped trap 1.3.6.1.4.1.9.9.9 on gw, found by polling"


def test_types_and_severities_are_those_of_the_contract():
    schemas = yaml.load(CONTRACT.read_text(), yaml.CSafeLoader)["components"]["schemas"]
    rules = [*RULES.values(), UNMAPPED_RULE, UNREACHABLE_RULE]
    assert {one.alarm_type for one in rules} <= set(schemas["AlarmType"]["enum"])
    assert {one.severity for one in rules} <= set(schemas["PerceivedSeverity"]["enum"])
