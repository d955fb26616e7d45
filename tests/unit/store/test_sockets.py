import hashlib
import os
import shutil
import unicodedata
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pymongo.uri_parser import parse_uri

from tmf_apis.store.process import CannotStart
from tmf_apis.store.sockets import MAX_SOCKET_PATH, socket_path


@pytest.fixture
def temporary(monkeypatch, tmp_path_factory):
    """A directory for temporary files with a short path in lower case."""
    folder = Path("/tmp") / f"tmf-test-{os.getpid()}"  # noqa: S108 - paths of pytest are too long
    folder.mkdir(mode=0o700)
    tmp_path_factory.getbasetemp()  # is created now, outside of the folder
    monkeypatch.setattr("tmf_apis.store.sockets.SYSTEM_TEMPORARY", folder)
    yield folder
    shutil.rmtree(folder)


def short_folder(temporary, folder):
    digest = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
    return temporary / f"tmf-{os.geteuid()}-{digest}"


def test_a_short_path_in_lower_case_is_used_as_it_is():
    assert socket_path(Path("/srv/tmf data"), "a.sock") == Path("/srv/tmf data/a.sock")


@given(
    st.text(
        st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=60
    )
)
@example("a:b").via("the driver takes it for a port")
@example("a%41").via("decoded by the driver and by SQLite")
@example("a?b#c").via("the query and the fragment of a URI")
@example("\udcff").via("a byte that is not UTF-8")
@example("cafe\N{COMBINING ACUTE ACCENT}").via("decomposed")
def test_the_socket_of_any_directory_has_a_path_that_nobody_changes(name):
    """MongoDB, its driver, gRPC and SQLite read addresses as texts with special characters."""
    path = socket_path(Path("/srv") / name, "mongodb.sock")
    text = str(path)
    assert len(os.fsencode(path)) <= MAX_SOCKET_PATH
    assert text == text.lower() == unquote(text) == unicodedata.normalize("NFC", text)
    assert text.isascii()
    assert text.isprintable()
    assert not set(text) & set(",:?#@%&+;$\\'\"=")
    if path.parent.name.startswith("tmf-"):
        path.parent.rmdir()
    uri = f"mongodb://{quote(text, safe='')}/?replicaSet=tmf"
    assert parse_uri(uri)["nodelist"] == [(text, None)]


def test_two_names_of_a_directory_have_one_socket(temporary, tmp_path):
    (tmp_path / "Data").mkdir()
    (tmp_path / "Link").symlink_to("Data")
    names = ("Data", "Link", "Data/../Link")
    assert len({socket_path(tmp_path / name, "a.sock") for name in names}) == 1


@pytest.mark.parametrize("name", ["x" * 200, "Upper", "Ä", "a,b", "a:b", "a%b"])
def test_another_path_is_replaced_by_one_that_is_private(temporary, name):
    folder = Path("/srv") / name
    path = socket_path(folder, "a.sock")
    assert path == short_folder(temporary, folder) / "a.sock"
    assert len(str(path)) <= MAX_SOCKET_PATH
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert socket_path(folder, "a.sock") == path


def test_the_same_relative_path_in_two_directories_has_two_sockets(
    temporary, monkeypatch, tmp_path
):
    paths = set()
    for name in "ab":
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        paths.add(socket_path(Path("Data"), "a.sock"))
    assert len(paths) == 2


def test_servers_with_different_temporary_directories_have_one_socket(
    temporary, monkeypatch, tmp_path
):
    paths = set()
    for name in "ab":
        (tmp_path / name).mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / name))
        paths.add(socket_path(Path("/srv/Upper"), "a.sock"))
    assert paths == {short_folder(temporary, Path("/srv/Upper")) / "a.sock"}


def test_the_users_temporary_directory_replaces_one_that_does_not_exist(
    temporary, monkeypatch, tmp_path
):
    monkeypatch.setattr("tmf_apis.store.sockets.SYSTEM_TEMPORARY", tmp_path / "none")
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    folder = short_folder(temporary, Path("/srv/Upper"))
    assert socket_path(Path("/srv/Upper"), "a.sock") == folder / "a.sock"


@pytest.mark.parametrize("is_link", [True, False])
def test_a_prepared_directory_of_somebody_else_is_refused(temporary, tmp_path, is_link):
    """A link to a private directory of the user is as bad as a directory that others can read."""
    folder = Path("/srv/Upper")
    if is_link:
        tmp_path.chmod(0o700)
        short_folder(temporary, folder).symlink_to(tmp_path)
    else:
        short_folder(temporary, folder).mkdir()
        short_folder(temporary, folder).chmod(0o755)
    with pytest.raises(CannotStart, match="other users can access"):
        socket_path(folder, "a.sock")
