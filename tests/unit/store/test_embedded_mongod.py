"""Messages about an embedded database that cannot be started."""

import os

import pytest

from tmf_apis.settings import Settings
from tmf_apis.store import embedded_mongod
from tmf_apis.store.embedded_mongod import EmbeddedMongod
from tmf_apis.store.process import CannotStart

VERSION = "echo 'db version v6.0.5'; [ $1 = --version ]"


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "data", mongodb_timeout=20.0)


@pytest.mark.parametrize("name", ["file", "file/data", "loop", "loop/data", "long" * 64])
def test_a_data_directory_that_cannot_be_created_is_named(tmp_path, name):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(CannotStart, match=r"/\w+ cannot be created: .* TMF_DATA_DIR"):
        EmbeddedMongod(Settings(data_dir=tmp_path / name)).start()


def test_the_target_of_a_dangling_link_becomes_the_data_directory(tmp_path):
    (tmp_path / "link").symlink_to("far/away")
    EmbeddedMongod(Settings(data_dir=tmp_path / "link")).prepare()
    assert (tmp_path / "far" / "away").is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_data_directory_that_is_not_writable_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CannotStart, match=r"is not writable by user .* Permission denied"):
        EmbeddedMongod(Settings(data_dir=tmp_path / "data")).start()


def test_without_a_mongod_the_message_names_the_remedies(settings, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(embedded_mongod, "_packaged_mongod", lambda: None)
    embedded_mongod.mongod_path.cache_clear()
    with pytest.raises(CannotStart, match=r"no mongod 6 or newer on PATH; .*TMF_MONGODB_URI"):
        EmbeddedMongod(settings).start()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'error while loading shared libraries: libx.so' >&2; exit 127", "libx.so"),
        (f"{VERSION} || (echo 'No space left on device'; false)", "the disk is full"),
        (f"{VERSION} || exit 62", r"status 62.*its log is"),
    ],
)
def test_the_output_of_a_mongod_that_cannot_run_is_reported(
    settings, monkeypatch, tmp_path, script, message
):
    program = tmp_path / "mongod"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    embedded_mongod.mongod_path.cache_clear()
    try:
        with pytest.raises(CannotStart, match=message):
            EmbeddedMongod(settings).start()
    finally:
        embedded_mongod.mongod_path.cache_clear()
