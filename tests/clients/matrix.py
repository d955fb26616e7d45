"""The matrix of generators and APIs: what is generated, run and expected.

``python -m tests.clients.matrix`` (``make clients``) runs all of it and prints the table.
"""

import json
import sys
import tempfile
from pathlib import Path

import httpx

from tests.clients import tasks, toolbox
from tests.clients.demo_server import demo_server
from tests.clients.typescript import compile_fetch_client, use_fetch_client, use_types
from tests.support.contract_collections import CONTRACTS

#: Generator -> its driver.
PYTHON_DRIVERS = {
    "openapi-generator python": "openapi_generator_python",
    "openapi-python-client": "openapi_python_client",
}
#: API -> the collections for which the SDK ``tmforum`` has classes.
SDK_COLLECTIONS = {
    "TMF620-v5": {"category", "productCatalog", "productOffering", "productSpecification"},
    "TMF622-v5": {"productOrder"},
    "TMF629-v5": {"customer"},
    "TMF639-v5": {"resource"},
    "TMF678-v5": {"appliedCustomerBillingRate", "billCycle", "customerBill"},
}
#: (generator, API, resource): what does not work, and docs/clients.md explains.
LIMITS = {
    ("openapi-python-client", "TMF678-v4", "appliedCustomerBillingRate"),
}

_GENERATED = """package javax.annotation;
public @interface Generated {
    String[] value(); String date() default ""; String comments() default "";
}
"""


def stem(contract):
    return f"{contract.number}-{contract.version}"


def package(contract):
    return stem(contract).lower().replace("-", "_")


class Workshop:
    """The documents of a running server, and the clients that are generated from them."""

    def __init__(self, url, folder):
        self.url = url
        self.folder = folder
        self.client = httpx.Client(base_url=url, timeout=60)

    def document(self, contract):
        """Return the file of the served document."""
        file = self.folder / f"{stem(contract)}.json"
        if not file.exists():
            response = self.client.get(f"{contract.base_path}/openapi.json")
            assert response.status_code == 200
            file.write_bytes(response.content)
        return file

    def generate(self, generator, contracts):
        """Generate the clients of contracts and return the folder that has them."""
        folder = self.folder / generator.replace(" ", "-")
        folder.mkdir(exist_ok=True)
        documents = {package(contract): self.document(contract) for contract in contracts}
        if generator.startswith("openapi-generator "):
            toolbox.openapi_generator(generator.split()[1], documents, folder)
        else:
            for name, document in documents.items():
                toolbox.openapi_python_client(name, document, folder)
        return folder

    def task(self, contract, folder):
        """Return the task of a client."""
        return {
            "url": f"{self.url}{contract.base_path}",
            "root": f"{self.url}/tmf-api",
            "folder": str(folder),
            "package": package(contract),
            "steps": tasks.steps(contract, self.client),
        }

    def use_python(self, generator, contracts):
        """Yield (contract, resource -> result) of the clients of a generator for Python."""
        folder = self.generate(generator, contracts)
        for contract in contracts:
            place = folder / package(contract) if generator.startswith("openapi-gen") else folder
            task = self.task(contract, place)
            yield contract, toolbox.drive(PYTHON_DRIVERS[generator], task)

    def use_typescript(self, contracts):
        """Yield (contract, resource -> result) of the clients of typescript-fetch."""
        folder = self.generate("openapi-generator typescript-fetch", contracts)
        for contract in contracts:
            compiled = compile_fetch_client(folder / package(contract))
            yield contract, use_fetch_client(compiled, self.task(contract, compiled))

    def use_openapi_typescript(self, contracts):
        """Yield (contract, resource -> result) of the types of openapi-typescript."""
        for contract in contracts:
            place = self.folder / f"types-{package(contract)}"
            place.mkdir()
            yield contract, use_types(self.document(contract), place, self.task(contract, place))

    def use_sdk(self):
        """Yield (contract, resource -> result) of the SDK ``tmforum``."""
        for contract in CONTRACTS:
            if collections := SDK_COLLECTIONS.get(stem(contract)):
                task = self.task(contract, self.folder)
                task["steps"] = [s for s in task["steps"] if s["resource"] in collections]
                yield contract, toolbox.drive("tmforum_sdk", task)

    def compile_java(self, contract):
        """Compile the client of openapi-generator (java, native).

        The libraries are those in the program of openapi-generator. It lacks the annotation
        ``javax.annotation.Generated``.
        """
        folder = self.generate("openapi-generator java", [contract])
        annotation = folder / "Generated.java"
        annotation.write_text(_GENERATED)
        sources = (folder / package(contract) / "src" / "main").rglob("*.java")
        options = (
            "-nowarn",
            "-proc:none",
            "-cp",
            toolbox.generator_jar(),
            "-d",
            folder / "classes",
        )
        toolbox.run("javac", *options, annotation, *sources, timeout=300)


def failures(generator, contract, results):
    """Return the resources of a client that failed, without the known limits."""
    return {
        resource: result["error"]
        for resource, result in results.items()
        if "error" in result and (generator, stem(contract), resource) not in LIMITS
    }


def main():
    """Run the whole matrix and print a line for each generator and contract."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder, demo_server(Path(folder) / "data") as url:
        shop = Workshop(url, Path(folder))
        official = [contract for contract in CONTRACTS if contract.number != "NETWORK"]
        runs = [
            *((name, shop.use_python(name, official)) for name in PYTHON_DRIVERS),
            ("openapi-generator typescript-fetch", shop.use_typescript(official)),
            ("openapi-typescript", shop.use_openapi_typescript(official)),
            ("tmforum", shop.use_sdk()),
        ]
        for generator, outcomes in runs:
            for contract, results in outcomes:
                wrong = failures(generator, contract, results)
                failed += len(wrong)
                cells = [f"{name} {', '.join(r.get('done', '-'))}" for name, r in results.items()]
                _write(f"{generator} | {stem(contract)} | {'; '.join(cells)}")
                if wrong:
                    _write(json.dumps(wrong, indent=1))
    return failed


def _write(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
