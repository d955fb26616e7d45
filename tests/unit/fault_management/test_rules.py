"""Mapping of SNMP notifications and polled conditions to alarms."""

from datetime import UTC, datetime

import pytest
import yaml

from adapters import condition_types
from adapters.observations import RawFault
from adapters.snmp import mib
from adapters.snmp.traps import Notification
from tests.support.paths import OPENAPI
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
CONTRACT = OPENAPI / "TMF642-v5.yaml"


def notification(trap, variables=None, **attributes):
    attributes = {"uptime": 10.0, "boots": 2, "sender": "tmf", "inform": False} | attributes
    return Notification("gw", "192.0.2.1", trap, variables or {}, received_at=NOW, **attributes)


def link_notification(trap, admin=mib.UP, index=3, name=b"sub1"):
    return notification(
        trap,
        {
            f"{mib.IF_INDEX}.{index}": index,
            f"{mib.IF_ADMIN_STATUS}.{index}": admin,
            f"{mib.IF_DESCR}.{index}": name,
        },
    )


def test_a_lost_link_is_a_major_communications_alarm_on_the_port():
    report = report_from_notification(link_notification(condition_types.LINK_DOWN), PORTS)
    assert (report.alarm_type, report.probable_cause, report.severity) == (
        "communicationsAlarm",
        "lossOfSignal",
        "major",
    )
    assert (report.effect, report.port, report.event_time) == (Effect.RAISE, "sub1", NOW)
    assert "sub1" in report.text


def test_a_link_up_clears_the_alarm_of_the_link_down():
    down, up = (
        report_from_notification(link_notification(trap), PORTS)
        for trap in (condition_types.LINK_DOWN, condition_types.LINK_UP)
    )
    assert up.key == down.key
    assert (up.effect, up.severity) == (Effect.CLEAR, "cleared")


def test_a_port_that_is_switched_off_is_no_fault_and_clears_its_alarm():
    report = report_from_notification(
        link_notification(condition_types.LINK_DOWN, admin=mib.DOWN), PORTS
    )
    assert report.administratively_down
    assert (report.effect, report.key) == (
        Effect.CLEAR,
        report_from_notification(link_notification(condition_types.LINK_DOWN), PORTS).key,
    )


def test_the_port_is_identified_by_the_instance_and_not_by_the_value():
    contradictory = notification(condition_types.LINK_DOWN, {f"{mib.IF_INDEX}.4": 3})
    assert report_from_notification(contradictory, PORTS).port == "sub2"


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
def test_a_port_is_named_by_table_or_notification_or_index(variables, ports, port):
    assert (
        report_from_notification(notification(condition_types.LINK_DOWN, variables), ports).port
        == port
    )


@pytest.mark.parametrize("trap", [condition_types.COLD_START, condition_types.WARM_START])
def test_a_restart_clears_itself_and_needs_a_resynchronisation(trap):
    report = report_from_notification(notification(trap), {})
    assert (report.self_clearing, report.needs_resync, report.severity, report.port) == (
        True,
        True,
        "warning",
        "",
    )


def test_a_failed_login_is_a_security_alarm():
    report = report_from_notification(notification(condition_types.AUTHENTICATION_FAILURE), {})
    assert (report.alarm_type, report.probable_cause) == (
        "securityService",
        "authenticationFailure",
    )


def test_an_unknown_trap_raises_an_alarm():
    report = report_from_notification(
        notification("1.3.6.1.4.1.9.9.9", {"1.3.6.1.4.1.9.1.0": b"\xff\x00"}), {}
    )
    assert (report.effect, report.severity) == (Effect.RAISE, "indeterminate")
    assert report.specific_problem == "unmapped trap 1.3.6.1.4.1.9.9.9"
    assert "1.3.6.1.4.1.9.1.0=ff00" in report.text


def test_two_unknown_traps_raise_two_alarms():
    first, second = (
        report_from_notification(notification(f"1.3.6.1.4.1.9.9.{n}"), {}) for n in (1, 2)
    )
    assert first.key != second.key


@pytest.mark.parametrize(
    ("column", "name", "port"),
    [
        (mib.IF_NAME, b"sub2", "sub2"),
        (mib.IF_DESCR, b"sub2", "sub2"),
        (mib.IF_DESCR, b"sub2\0", "sub2"),
        (mib.IF_DESCR, b"Ethernet two", "sub2"),  # the ifDescr of another port than index 3
        (mib.IF_DESCR, b"Ethernet one", "sub1"),
        (mib.IF_DESCR, b"alike", "sub1"),  # that of several ports: the index decides
        (mib.IF_NAME, b"ge-0/0/9", "ge-0/0/9"),  # a port that was added
    ],
)
def test_the_name_in_a_notification_wins_over_a_remembered_index(column, name, port):
    link_down = notification(
        condition_types.LINK_DOWN, {f"{mib.IF_INDEX}.3": 3, f"{column}.3": name}
    )
    descriptions = {3: "Ethernet one", 4: "Ethernet two"}
    if name == b"alike":
        descriptions = {3: "alike", 4: "alike"}
    assert report_from_notification(link_down, PORTS, descriptions).port == port


@pytest.mark.parametrize(
    ("active", "effect", "severity"),
    [(True, Effect.RAISE, "major"), (False, Effect.CLEAR, "cleared")],
)
def test_a_polled_condition_has_the_key_of_its_notification(active, effect, severity):
    report = report_from_condition(RawFault("gw", condition_types.LINK_DOWN, "sub1", active, NOW))
    assert (
        report.key
        == report_from_notification(link_notification(condition_types.LINK_DOWN), PORTS).key
    )
    assert (report.effect, report.severity) == (effect, severity)


def test_an_unknown_condition_raises_an_alarm():
    report = report_from_condition(
        RawFault("gw", "1.3.6.1.4.1.9.9.9", "", active=True, seen_at=NOW)
    )
    assert report.specific_problem == "unmapped trap 1.3.6.1.4.1.9.9.9"
    assert report.text == "unmapped trap 1.3.6.1.4.1.9.9.9 on gw, found by polling"


def test_alarm_types_and_severities_are_in_the_contract():
    schemas = yaml.load(CONTRACT.read_text(), yaml.CSafeLoader)["components"]["schemas"]
    rules = [*RULES.values(), UNMAPPED_RULE, UNREACHABLE_RULE]
    assert {rule.alarm_type for rule in rules} <= set(schemas["AlarmType"]["enum"])
    assert {rule.severity for rule in rules} <= set(schemas["PerceivedSeverity"]["enum"])
