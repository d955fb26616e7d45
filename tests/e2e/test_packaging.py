"""What is handed out: the wheel holds all that it needs, image and composition are sound."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support.paths import ROOT
from tests.support.server import ServerProcess, free_port
from tmf_apis.settings import Settings

SOURCES = ("tmf_apis", "adapters", "openapi")
COMPOSE = ROOT / "compose.yaml"
#: What compose.yaml wants to be told.
SECRETS = {"MONGODB_PASSWORD": "secret-one", "POSTGRES_PASSWORD": "secret-two"}


def run(*command, cwd=ROOT, **environment):
    """Run a command that is installed beside this Python; return status and what it said."""
    program = Path(sysconfig.get_path("scripts")) / command[0]
    done = subprocess.run(  # noqa: S603 - our own command
        [program, *command[1:]],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this source."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", build, "dist"],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (found,) = (source / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with the wheel's content and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize("name", SOURCES)
def test_the_wheel_has_every_file_of_the_source(wheel, name):
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    kept = {".py", ".yaml", ".json", ".html", ".css", ".js", ".svg", ".typed", ".yang"}
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "README.md"
    }
    assert {path for path in files if Path(path).suffix not in kept} == set()
    assert files <= packed


def test_the_wheel_has_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(SOURCES)


def test_an_installed_server_serves_from_an_empty_directory(installed, tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TMF_")}
    environment["PYTHONPATH"] = str(installed)
    code = "import tmf_apis, adapters; print(tmf_apis.__file__, adapters.__file__)"
    places = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-P", "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert places.stdout.count(str(installed)) == 2
    served = ServerProcess(tmp_path / "data")
    port = free_port()
    served.url = f"http://127.0.0.1:{port}"
    with (tmp_path / "data.log").open("wb") as log:
        served.process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-P", "-m", "tmf_apis", "serve", "--port", str(port)],
            cwd=tmp_path,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        served.await_ready()
        own = (installed / "openapi" / "TMF642-v5.yaml").read_bytes()
        url = f"{served.url}/tmf-api/alarmManagement/v5"
        assert httpx.get(f"{url}/alarm").json() == []
        assert httpx.get(f"{url}/openapi.yaml").content == own
        assert httpx.get(served.url, headers={"Accept": "text/html"}).status_code == 200
    finally:
        assert served.stop() == 0


def test_the_version_is_written_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert project["version"]
    assert "## [Unreleased]" in changes


def test_the_image_is_without_a_fault():
    assert run("hadolint", "Dockerfile") == (0, "")


def test_the_image_is_small_runs_without_rights_and_says_whether_it_lives():
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    last = lines[max(n for n, line in enumerate(lines) if line.startswith("FROM ")) :]
    assert "-slim" in last[0]
    (user,) = (line for line in last if line.startswith("USER "))
    assert re.fullmatch(r"USER [1-9]\d*:[1-9]\d*", user)
    assert any(line.startswith("HEALTHCHECK ") for line in last)


def test_what_is_copied_into_the_image_is_not_ignored():
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")
    }
    assert kept == {*SOURCES, "pyproject.toml", "requirements.lock", "README.md", "LICENSE"}


def test_the_composition_is_what_its_schema_wants():
    status, said = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE))
    assert status == 0, said


def test_the_composition_can_be_resolved():
    status, said = run("docker-compose", "-f", str(COMPOSE), "config", "--quiet", **SECRETS)
    assert (status, said) == (0, "")


def test_the_composition_does_not_start_without_secrets(tmp_path):
    shutil.copy(COMPOSE, tmp_path)
    blank = dict.fromkeys(SECRETS, "")
    status, said = run("docker-compose", "config", "--quiet", cwd=tmp_path, **blank)
    assert status != 0
    assert "name it in .env" in said


def test_the_composition_publishes_nothing_beyond_this_machine():
    services = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_service_of_the_composition_says_whether_it_works():
    services = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    assert [name for name, service in services.items() if "healthcheck" not in service] == []


def test_the_composition_uses_settings_that_there_are():
    text = COMPOSE.read_text("utf-8") + (ROOT / "Dockerfile").read_text("utf-8")
    known = {name for name, _, _ in Settings().table()}
    assert set(re.findall(r"TMF_[A-Z_]+", text)) <= known
