"""Connections to databases that do not answer, and invalid URIs."""

import socket

import pytest
from pymongo import MongoClient

from tmf_apis.errors import Unavailable
from tmf_apis.settings import Settings
from tmf_apis.store.connection import connect, mongo_client, translate_errors
from tmf_apis.store.process import CannotStart


def test_a_server_that_does_not_answer_is_reported_without_the_password():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(CannotStart, match=f"no MongoDB primary answers at {server}") as failure:
            connect(Settings(mongodb_timeout=1.0), f"mongodb://me:secret@{server}/?replicaSet=x")
        assert "secret" not in str(failure.value)


def test_the_client_has_the_configured_time_limits():
    settings = Settings(mongodb_timeout=3.0, query_time=2000)
    with mongo_client(settings, "mongodb://127.0.0.1:9/?replicaSet=x") as client:
        assert client.options.server_selection_timeout == 3.0
        assert client.options.pool_options.connect_timeout == 3.0
        assert client.options.pool_options.socket_timeout == 5.0


@pytest.mark.parametrize("uri", ["nonsense", "mongodb://", "mongodb://h/?w=2&nosuch[", "http://h"])
def test_an_invalid_uri_is_an_error(uri):
    with pytest.raises(CannotStart, match="TMF_MONGODB_URI"):
        connect(Settings(mongodb_timeout=0.2), uri)


def test_a_database_that_does_not_answer_is_unavailable():
    with (
        MongoClient("127.0.0.1:9", serverSelectionTimeoutMS=100) as client,
        pytest.raises(Unavailable, match="does not answer"),
        translate_errors(),
    ):
        client.shop.things.find_one()
