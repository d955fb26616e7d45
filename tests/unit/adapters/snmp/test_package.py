"""The package adapters.snmp: importable without the site packages."""

import subprocess
import sys

import pytest

import adapters.snmp
from adapters.snmp.element import SnmpElement
from tests.support.paths import ROOT


def test_the_wire_format_is_importable_without_site_packages():
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from adapters.snmp.wire import agent, message\n"
        "assert not {'pysnmp', 'adapters.snmp.element'} & set(sys.modules)\n"
    )
    finished = subprocess.run(  # noqa: S603
        (sys.executable, "-S", "-c", program),
        cwd="/", capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr


def test_the_package_exports_the_adapter():
    assert adapters.snmp.SnmpElement is SnmpElement


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Element'"):
        adapters.snmp.Element  # noqa: B018
