"""The distribution: the wheel is complete, the image and the Compose file are valid."""

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
#: The variables that compose.yaml requires.
SECRETS = {"MONGODB_PASSWORD": "secret-one", "POSTGRES_PASSWORD": "secret-two"}


def run(*command, cwd=ROOT, **environment):
    """Run a command of this Python environment; return its status and output."""
    program = Path(sysconfig.get_path("scripts")) / command[0]
    process = subprocess.run(  # noqa: S603 - a trusted command
        [program, *command[1:]],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return process.returncode, process.stdout + process.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this source."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    process = subprocess.run(  # noqa: S603 - a trusted command
        [sys.executable, "-c", build, "dist"],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    (wheel,) = (source / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with the content of the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize("name", SOURCES)
def test_the_wheel_contains_every_source_file(wheel, name):
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    packaged_suffixes = {".py", ".yaml", ".json", ".html", ".css", ".js", ".svg", ".typed", ".yang"}
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "README.md"
    }
    assert {path for path in files if Path(path).suffix not in packaged_suffixes} == set()
    assert files <= packed


def test_the_wheel_contains_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        folders = {name.split("/")[0] for name in archive.namelist()}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == set(SOURCES)


def test_an_installed_server_serves_from_an_empty_directory(installed, tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TMF_")}
    environment["PYTHONPATH"] = str(installed)
    code = "import tmf_apis, adapters; print(tmf_apis.__file__, adapters.__file__)"
    process = subprocess.run(  # noqa: S603 - a trusted command
        [sys.executable, "-P", "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.count(str(installed)) == 2
    server = ServerProcess(tmp_path / "data")
    port = free_port()
    server.url = f"http://127.0.0.1:{port}"
    with (tmp_path / "data.log").open("wb") as log:
        server.process = subprocess.Popen(  # noqa: S603 - a trusted command
            [sys.executable, "-P", "-m", "tmf_apis", "serve", "--port", str(port)],
            cwd=tmp_path,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        server.await_ready()
        contract = (installed / "openapi" / "TMF642-v5.yaml").read_bytes()
        url = f"{server.url}/tmf-api/alarmManagement/v5"
        assert httpx.get(f"{url}/alarm").json() == []
        served = httpx.get(f"{url}/openapi.yaml").text
        paths = yaml.load(contract, yaml.CSafeLoader)["paths"]
        assert yaml.load(served, yaml.CSafeLoader)["paths"].keys() >= paths.keys()
        assert (installed / "openapi" / "examples" / "TMF642-v5.json").exists()
        assert httpx.get(server.url, headers={"Accept": "text/html"}).status_code == 200
    finally:
        assert server.stop() == 0


def test_the_project_has_a_version_and_unreleased_changes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert project["version"]
    assert "## [Unreleased]" in changes


def test_hadolint_accepts_the_image():
    assert run("hadolint", "Dockerfile") == (0, "")


def test_the_image_is_slim_unprivileged_and_has_a_health_check():
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    stage = lines[max(n for n, line in enumerate(lines) if line.startswith("FROM ")) :]
    assert "-slim" in stage[0]
    (user,) = (line for line in stage if line.startswith("USER "))
    assert re.fullmatch(r"USER [1-9]\d*:[1-9]\d*", user)
    assert any(line.startswith("HEALTHCHECK ") for line in stage)


def test_dockerignore_includes_exactly_the_files_of_the_image():
    included = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")
    }
    assert included == {*SOURCES, "pyproject.toml", "requirements.lock", "README.md", "LICENSE"}


def test_the_compose_file_conforms_to_its_schema():
    status, output = run(
        "check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)
    )
    assert status == 0, output


def test_the_compose_file_can_be_resolved():
    status, output = run("docker-compose", "-f", str(COMPOSE), "config", "--quiet", **SECRETS)
    assert (status, output) == (0, "")


def test_the_compose_file_requires_secrets(tmp_path):
    shutil.copy(COMPOSE, tmp_path)
    blank = dict.fromkeys(SECRETS, "")
    status, output = run("docker-compose", "config", "--quiet", cwd=tmp_path, **blank)
    assert status != 0
    assert "set it in .env" in output


def test_the_compose_file_publishes_ports_on_loopback_only():
    services = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith(("127.0.0.1:", "${TRAP_ADDRESS:-127.0.0.1}:")) for port in ports)


def test_the_compose_file_receives_notifications_of_elements():
    server = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]["server"]
    (port,) = (port for port in server["ports"] if port.endswith("/udp"))
    assert port.endswith(f":162:{server['environment']['TMF_TRAP_PORT']}/udp")


def test_the_server_of_the_compose_file_has_a_database_user_of_its_own():
    document = yaml.safe_load(COMPOSE.read_text("utf-8"))
    uri = document["services"]["server"]["environment"]["TMF_MONGODB_URI"]
    assert uri.startswith("mongodb://tmf:${SERVER_MONGODB_PASSWORD")
    assert (
        'roles: [{role: "readWrite", db: "tmf"}]' in document["configs"]["server-user"]["content"]
    )


def test_the_compose_file_uses_no_image_that_is_for_development_only():
    services = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    images = [service["image"] for service in services.values()]
    assert not [image for image in images if "auto-setup" in image or image.endswith(":latest")]


def test_every_service_of_the_compose_file_has_a_health_check():
    services = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    assert [name for name, service in services.items() if "healthcheck" not in service] == []


def test_the_compose_file_uses_existing_settings():
    text = COMPOSE.read_text("utf-8") + (ROOT / "Dockerfile").read_text("utf-8")
    settings = {name for name, _, _ in Settings().table()}
    assert set(re.findall(r"TMF_[A-Z_]+", text)) <= settings
