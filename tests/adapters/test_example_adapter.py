"""An adapter in a separate package: built, installed, found, and tested by the contract."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from adapters import registry
from adapters.credentials import Credentials
from adapters.errors import Misconfigured, Unreachable
from adapters.testing import AdapterContract
from adapters.values import Target
from tests.support.paths import ROOT

pytestmark = pytest.mark.anyio
NAME = "example-crossconnect"


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the example package, installed from its wheel without network access."""
    source = tmp_path_factory.mktemp("source") / "example_adapter"
    shutil.copytree(ROOT / "tests" / "packages" / "example_adapter", source)
    wheels = tmp_path_factory.mktemp("wheels")
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(wheels)!r})"
    subprocess.run(  # noqa: S603
        (sys.executable, "-W", "ignore", "-c", build), cwd=source, check=True, capture_output=True
    )
    (wheel,) = wheels.glob("*.whl")
    target = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


@pytest.fixture(scope="module")
def on_path(installed):
    sys.path.insert(0, str(installed))
    yield installed
    sys.path.remove(str(installed))
    sys.modules.pop("example_adapter", None)


def target_in(folder):
    file = folder / "ports.json"
    file.write_text(json.dumps({"1/1": {}, "1/2": {}, "1/3": {"enabled": False}}))
    return Target("xc-1", "xc-1.example", NAME, options={"file": str(file)})


class TestExampleAdapter(AdapterContract):
    settings = {"vlan": 100}  # noqa: RUF012 - as AdapterContract has it
    changed = {"vlan": 200}  # noqa: RUF012
    wrong = {"vlan": 5000}  # noqa: RUF012

    @pytest.fixture
    async def adapter(self, on_path, tmp_path):
        async with registry.create_adapter(target_in(tmp_path), Credentials()) as adapter:
            yield adapter

    @pytest.fixture
    def ports(self):
        return ("1/1", "1/2")


async def test_the_example_adapter_raises_element_errors(on_path, tmp_path):
    with pytest.raises(Misconfigured, match="file"):
        registry.create_adapter(Target("xc", "h", NAME), Credentials())
    missing = Target("xc", "h", NAME, options={"file": str(tmp_path / "none.json")})
    async with registry.create_adapter(missing, Credentials()) as adapter:
        with pytest.raises(Unreachable):
            await adapter.probe()


def test_the_command_line_finds_and_uses_the_example_adapter(installed, tmp_path):
    target = target_in(tmp_path)
    environment = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"}
    environment["TMF_DATA_DIR"] = str(tmp_path / "data")

    def tmf(*arguments):
        finished = subprocess.run(  # noqa: S603
            (sys.executable, "-m", "tmf_apis", *arguments),
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return finished.returncode, finished.stdout + finished.stderr

    code, output = tmf("adapters")
    assert (code, NAME in output) == (0, True), output
    element = ("--address", target.address, "--adapter", NAME, "--option",
             f"file={target.options['file']}")  # fmt: skip
    change = ("--service", "s-1", "--port", "1/2", "--set", "vlan=100", "--yes")
    code, output = tmf("element", "apply", *element, *change)
    assert code == 0, output
    assert "+ vlan = 100" in output
    assert json.loads(Path(target.options["file"]).read_text())["1/2"]["tag"] == "s-1"
