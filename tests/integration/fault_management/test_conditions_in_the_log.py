"""Faults of an element's registration are logged when they begin and end, not at each refresh."""

import logging

import pytest

from adapters.credentials import Credentials
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.fault_management import element_registry
from tmf_apis.fault_management.element_registry import ElementRegistry
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

REFRESHES = 5


@pytest.fixture
def repositories(database, tmp_path):
    settings = Settings(mongodb_database=database.name, data_dir=tmp_path)
    contracts = load_contracts(CONTRACTS_DIR, tmp_path / "cache")
    return RepositoryFactory(Engine(settings, contracts, database).writer, "test")


def add_element(repositories, name, adapter, credentials):
    characteristics = {
        "managementAddress": "127.0.0.1",
        "adapter": adapter,
        "credentials": credentials,
    }
    repositories.for_tenant("default").create(
        "Resource",
        {
            "name": name,
            "category": "accessGateway",
            "resourceCharacteristic": [
                {"name": key, "value": value} for key, value in characteristics.items() if value
            ],
        },
    )


def test_an_element_whose_notifications_are_refused_is_logged_until_they_are_accepted(
    database, repositories, caplog
):
    caplog.set_level(logging.INFO, element_registry.__name__)
    add_element(repositories, "gw", "snmp", "GW")
    environment = {}
    elements = ElementRegistry(database, repositories, Credentials("", environment))
    for _ in range(REFRESHES):
        elements.trust(elements.read())
    environment["TMF_CREDENTIAL_GW"] = '{"community": "public"}'
    for _ in range(REFRESHES):
        elements.trust(elements.read())
    lines = [(record.message, record.element) for record in caplog.records]
    assert lines == [
        ("notifications of an element are refused", "gw"),
        ("notifications of an element are accepted again", "gw"),
    ]


def test_an_element_that_has_no_snmp_is_no_warning(database, repositories, caplog):
    caplog.set_level(logging.INFO, element_registry.__name__)
    add_element(repositories, "switch", "ovsdb", "")
    elements = ElementRegistry(database, repositories, Credentials("", {}))
    for _ in range(REFRESHES):
        elements.trust(elements.read())
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.element == "switch"
