"""Discovery of many SNMP elements in parallel: elements and ports per second, memory.

``python -m benchmarks.discovery``: the elements are simulated in another process, each at a
loopback address of its own. The database is the embedded one.
"""

import argparse
import asyncio
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.credentials import Credentials
from benchmarks import elements
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.network_operations.targets import DiscoveryTarget
from tmf_apis.reconciliation.discovery import Candidate, Discovery, DiscoveryResult
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.policy import Repository
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings
from tmf_apis.store.connection import connect
from tmf_apis.store.embedded_mongod import EmbeddedMongod

CONNECTION_OPTIONS = {"timeout": "5", "retries": "2"}


def main() -> None:
    """Run the benchmark and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="50 elements")
    parser.add_argument("--elements", type=int, help="number of elements")
    parser.add_argument("--ports", type=int, default=24, help="access ports of each")
    options = parser.parse_args()
    count = options.elements or (50 if options.quick else 500)
    with (
        elements.run_elements(count, options.ports),
        empty_system() as (repository, credentials, _),
    ):
        print(f"\nDiscovery of {count} elements with {options.ports + 1} ports each, over SNMP")
        for label in ("new", "again"):
            _measure(label, repository, credentials, count, options.ports + 1)


@contextmanager
def empty_system() -> Iterator[tuple[Repository, Credentials, Engine]]:
    """Yield a repository on an empty database, the credentials of the elements, and the engine."""
    with tempfile.TemporaryDirectory(prefix="tmf-bench-") as name:
        folder = Path(name)
        file = folder / "credentials.json"
        file.write_text(json.dumps({"bench": {"community": elements.COMMUNITY}}))
        settings = Settings(data_dir=folder / "data")
        settings.data_dir.mkdir()
        mongod = EmbeddedMongod(settings)
        mongod.start()
        try:
            database = connect(settings, mongod.uri)
            engine = Engine(settings, load_contracts(CONTRACTS_DIR, folder / "cache"), database)
            engine.prepare()
            yield (
                RepositoryFactory(engine.writer, "bench").for_tenant("default"),
                Credentials(file),
                engine,
            )
            database.client.close()
        finally:
            mongod.stop()


def discover_elements(
    repository: Repository, credentials: Credentials, count: int
) -> DiscoveryResult:
    """Discover the simulated elements and return the result."""
    candidates = [
        Candidate(
            DiscoveryTarget(f"{elements.address(n)}:{elements.PORT}", is_explicit=True),
            "snmp",
            ("bench",),
            CONNECTION_OPTIONS,
        )
        for n in range(count)
    ]
    return asyncio.run(Discovery(repository, credentials).run(candidates))


def _measure(
    label: str, repository: Repository, credentials: Credentials, count: int, ports: int
) -> None:
    started, processor_start = time.perf_counter(), time.process_time()
    result = discover_elements(repository, credentials, count)
    duration, processor_time = (
        time.perf_counter() - started,
        time.process_time() - processor_start,
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"  {label:6} {duration:6.1f} s  {count / duration:6.1f} elements/s  "
        f"{count * ports / duration:7.0f} ports/s  "
        f"{1000 * processor_time / count:6.1f} ms of processor time per element  "
        f"{memory:5.0f} MB  {result.counts}"
    )


if __name__ == "__main__":
    main()
