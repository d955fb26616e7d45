"""The registry: built-in adapters, adapters of other packages, and creation by name."""

import json
import sys

import pytest

from adapters import registry
from adapters.base import Adapter
from adapters.credentials import Credentials
from adapters.errors import Misconfigured
from adapters.snmp.element import SnmpElement
from adapters.snmp.simulator import SimulatedGateway

pytestmark = pytest.mark.anyio


def test_built_in_adapters_are_found_without_being_installed():
    assert registry.find_adapter("snmp") is SnmpElement
    assert "snmp" in {adapter.name for adapter in registry.installed_adapters()}


def test_an_adapter_of_another_package_is_found_and_a_broken_one_reported(tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text(
        "from adapters.snmp.element import SnmpElement\n"
        "class Element(SnmpElement):\n    pass\n"
        "class Half:\n    capabilities = frozenset()\n"
    )
    (tmp_path / "broken_stranger.py").write_text("raise RuntimeError('no licence')\n")
    folder = tmp_path / "stranger-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[tmf_apis.adapters]\nstranger = stranger:Element\nhalf = stranger:Half\n"
        "broken = broken_stranger:Element\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    adapters = {adapter.name: adapter for adapter in registry.installed_adapters()}
    assert adapters["stranger"].problem == ""
    assert "counters" in adapters["stranger"].capabilities
    assert "no licence" in adapters["broken"].problem
    assert "lacks probe" in adapters["half"].problem
    with pytest.raises(Misconfigured, match="no licence"):
        registry.find_adapter("broken")
    with pytest.raises(Misconfigured, match="snmp"):
        registry.find_adapter("no-such-adapter")
    sys.modules.pop("stranger", None)


async def test_an_adapter_is_created_from_the_names_in_a_target(tmp_path):
    async with SimulatedGateway() as gateway:
        file = tmp_path / "credentials.json"
        file.write_text(json.dumps(gateway.credentials))
        async with registry.create_adapter(gateway.target, Credentials(file, {})) as element:
            assert isinstance(element, Adapter)
            assert (await element.probe()).name == "gw-sim"
