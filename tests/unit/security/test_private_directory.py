"""The data directory is for its user only."""

import os
import stat

import pytest

from tmf_apis.security.private_directory import UnsafeDirectory, make_private, private_files


def modes(folder):
    """Return the permissions of a directory and of everything in it."""
    paths = [folder, *folder.rglob("*")]
    return {p.relative_to(folder).as_posix(): stat.S_IMODE(p.stat().st_mode) for p in paths}


def test_a_new_directory_is_private(tmp_path):
    folder = tmp_path / "a" / "data"
    make_private(folder)
    assert modes(folder) == {".": 0o700}


def test_an_existing_wider_directory_is_narrowed_with_a_word(tmp_path, caplog):
    folder = tmp_path / "data"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys").chmod(0o755)
    for name in ("worker.log", "temporal.db", "keys/signing.pem"):
        (folder / name).write_text("x")
        (folder / name).chmod(0o644)
    folder.chmod(0o755)
    make_private(folder)
    assert modes(folder) == {".": 0o700, "keys": 0o700, "worker.log": 0o600,
                             "temporal.db": 0o600, "keys/signing.pem": 0o600}  # fmt: skip
    assert [record.paths for record in caplog.records] == [5]
    caplog.clear()
    make_private(folder)
    assert caplog.records == []


def test_new_files_are_private_until_the_end_of_the_block(tmp_path):
    before = os.umask(0o022)
    try:
        with private_files():
            (tmp_path / "keys").mkdir()
        (tmp_path / "readme").mkdir()
    finally:
        os.umask(before)
    assert modes(tmp_path / "keys") == {".": 0o700}
    assert modes(tmp_path / "readme") == {".": 0o755}


def test_the_target_of_a_link_is_not_changed(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o644)
    folder = tmp_path / "data"
    make_private(folder)
    (folder / "link").symlink_to(outside)
    make_private(folder)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644


def test_a_directory_with_other_files_is_not_changed_but_reported(tmp_path, caplog):
    (tmp_path / "homework.txt").write_text("x")
    tmp_path.chmod(0o755)
    make_private(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert "other users have access" in caplog.text


def test_a_directory_that_all_users_share_is_refused(tmp_path):
    tmp_path.chmod(0o1777)
    with pytest.raises(UnsafeDirectory, match="shared by all users"):
        make_private(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of a directory")
def test_a_directory_of_another_user_is_refused(tmp_path):
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(UnsafeDirectory, match="belongs to user 12345"):
        make_private(tmp_path)
