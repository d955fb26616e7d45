"""The command ``tmf`` as a process of its own."""

import subprocess
import sys

import jwt
import pytest
from click.testing import CliRunner

from tmf_apis.cli import main


def test_commands_that_are_imported_late_print_no_warning():
    result = subprocess.run(
        (sys.executable, "-m", "tmf_apis", "privacy", "export", "--help"),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.startswith("Usage:")
    assert result.stderr == ""


def invoke(*arguments, **environment):
    """Run a command in this process; variables that are None are removed."""
    return CliRunner().invoke(main, arguments, env=environment)


@pytest.mark.parametrize(
    "command",
    [
        ("serve",),
        ("work",),
        ("settings",),
        ("token",),
        ("load", __file__),
        ("capacity",),
        ("discover",),
        ("audit",),
        ("demo", "run"),
        ("privacy", "export", "x"),
        ("audit-log", "verify"),
    ],
)
def test_every_command_names_a_setting_that_is_invalid(command, tmp_path):
    result = invoke(*command, TMF_PAGE_LIMIT="none", TMF_DATA_DIR=str(tmp_path / "data"))
    assert result.exit_code == 1
    assert "Error: TMF_PAGE_LIMIT='none': expected a whole number from 1 to" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", [("serve",), ("work",), ("settings",), ("audit-log", "verify")])
def test_every_command_names_a_retention_period_of_an_unknown_kind(command, tmp_path):
    result = invoke(*command, TMF_RETENTION="ProductOrders=1", TMF_DATA_DIR=str(tmp_path / "data"))
    assert result.exit_code == 1
    assert "Error: TMF_RETENTION: no contract has the kind ProductOrders; " in result.stderr
    assert "did you mean ProductOrder?" in result.stderr
    assert "Traceback" not in result.output


def test_a_retention_period_of_a_known_kind_is_shown(tmp_path):
    result = invoke("settings", TMF_RETENTION="ProductOrder=1", TMF_DATA_DIR=str(tmp_path / "data"))
    assert result.exit_code == 0


def test_an_unknown_variable_is_reported_with_the_nearest_name():
    result = invoke("settings", TMF_PAGE_LIMITT="7")
    assert result.exit_code == 0
    assert result.stderr == (
        "Warning: TMF_PAGE_LIMITT is not a setting; did you mean TMF_PAGE_LIMIT?\n"
    )


@pytest.mark.parametrize(
    ("scope", "hint"),
    [
        ("tmf622:craete", "did you mean tmf622:create?"),
        ("tmf622:read tmf639:element", "did you mean tmf639:elements?"),
        ("admn", "did you mean admin?"),
        ("???", "expected one of "),
    ],
)
def test_a_token_with_an_unknown_scope_is_refused_with_the_nearest(scope, hint, tmp_path):
    result = invoke("token", "--scope", scope, "--data-dir", str(tmp_path / "data"))
    assert result.exit_code == 1
    assert f"there is no scope '{scope.split()[-1]}'; {hint}" in result.stderr
    assert not (tmp_path / "data" / "keys").exists()


@pytest.mark.parametrize("scope", ["metrics", "admin", "pii", "tmf620:read", "tmf639:elements"])
def test_a_token_has_each_scope_that_is_named(scope, tmp_path):
    result = invoke("token", "--scope", scope, "--data-dir", str(tmp_path / "data"))
    claims = jwt.decode(result.stdout.strip(), options={"verify_signature": False})
    assert claims["scope"] == scope


def test_a_token_is_told_from_one_of_a_new_key_by_a_note(tmp_path):
    first, second = (invoke("token", "--data-dir", str(tmp_path / "data")) for _ in "ab")
    assert f"{tmp_path / 'data'} has no signing key yet; made a new one" in first.stderr
    assert second.stderr == ""
    assert first.stdout.count("\n") == second.stdout.count("\n") == 1


@pytest.mark.parametrize("hours", ["nan", "inf", "-1", "0", "x"])
def test_a_token_needs_a_lifetime(hours, tmp_path):
    result = invoke("token", "--hours", hours, "--data-dir", str(tmp_path / "data"))
    assert result.exit_code == 2
    assert "expected a number from 0.001 to 876000" in result.stderr


@pytest.mark.parametrize("command", [("token",), ("serve",)])
def test_a_data_directory_that_is_a_file_is_named(command, tmp_path):
    (tmp_path / "file").write_text("")
    result = invoke(*command, TMF_DATA_DIR=str(tmp_path / "file"))
    assert result.exit_code == 1
    assert f"data directory {tmp_path / 'file'}" in result.output
    assert "Traceback" not in result.output
