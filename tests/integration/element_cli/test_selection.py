"""Elements that ``tmf element`` selects from the inventory."""

import os
import uuid
from pathlib import Path

import pytest

from adapters.lab.demo_gateway import SimulatedDemoGateway
from tests.support.element_cli import ElementCommands
from tmf_apis.bulk_load.command import open_engine
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings


@pytest.fixture
def gateway():
    with SimulatedDemoGateway("gw-hand", trap_port=0) as demo_gateway:
        yield demo_gateway._gateway


@pytest.fixture
def tmf(gateway, tmp_path, monkeypatch):
    """Run ``tmf element`` on the gateway and return the result."""
    return ElementCommands(gateway, tmp_path, monkeypatch)


@pytest.fixture
def settings(tmf, contracts, tmp_path_factory, mongodb_uri, monkeypatch):
    """Settings with the database of the tests and with contracts from the cache."""
    assert tmf
    assert contracts
    data_dir = Path(os.environ["TMF_DATA_DIR"])
    data_dir.mkdir()
    (data_dir / "cache").symlink_to(tmp_path_factory.getbasetemp() / "contracts")
    monkeypatch.setenv("TMF_MONGODB_URI", mongodb_uri)
    monkeypatch.setenv("TMF_MONGODB_DATABASE", f"engineer_{uuid.uuid4().hex[:8]}")
    return Settings.from_environment()


def create_elements(settings, characteristics, **names):
    """Create elements in the inventory, with names by id."""
    with open_engine(settings) as engine:
        repository = RepositoryFactory(engine.writer, "test").for_tenant("default")
        for id, name in names.items():
            repository.create("Resource", {
                "id": id, "@type": "PhysicalResource", "name": name, "category": "accessGateway",
                "resourceCharacteristic": [
                    {"name": key, "value": value} for key, value in characteristics.items()
                ],
            })  # fmt: skip


def test_an_element_is_selected_by_id_or_unique_name(tmf, gateway, settings):
    host, port = gateway.address
    values = {"managementAddress": f"{host}:{port}", "adapter": "snmp", "credentials": "gw-hand"}
    create_elements(settings, values, e1="gw-hand", e2="gw-two", e3="gw-two")
    assert "SIM-100" in tmf("probe", element=("gw-hand",)).output
    assert "use an id: e2, e3" in tmf("probe", element=("gw-two",)).output
    assert "no element gw-nine" in tmf("probe", element=("gw-nine",)).output
    change = ("--service", "s-1", "--port", "sub1", "--set", "downstream=100M", "--yes")
    assert tmf("apply", *change, element=("e1",)).exit_code == 0
    assert gateway.port("sub1").tag == "s-1"
