"""The audit log behind the writes: insertion, sealing and verification of entries.

``python -m benchmarks.audit_log [ENTRIES]`` prints the processor time of the database and the time
for each entry, the size of an entry, and the duration and memory of a verification.
"""

import resource
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from benchmarks.requests import processor_time
from tmf_apis.audit_log.entries import new_entry
from tmf_apis.audit_log.log import ENTRY_COLLECTION, AuditLog
from tmf_apis.audit_log.sealing import Sealer
from tmf_apis.audit_log.verification import Verifier
from tmf_apis.settings import Settings
from tmf_apis.store.embedded_mongod import EmbeddedMongod, open_database

#: Entries that the relay adds at once.
BATCH_SIZE = 100
TENANT = "default"


def entry(number: int) -> dict[str, object]:
    """Return the entry of a change."""
    facts = {"subject": "partner-7", "parties": ["42"], "address": "192.0.2.7"}
    return new_entry(
        TENANT, "change", facts,
        requestId=f"{number:016x}", kind="ProductOffering", resource=str(uuid.UUID(int=number)),
        revision=2, attributes=["description", "lifecycleStatus"],
        oldState="In design", newState="In test",
    )  # fmt: skip


def measure(name: str, count: int, pid: int, action: Callable[[], object]) -> None:
    """Run an action; print the time for each entry."""
    cpu, started = processor_time(pid), time.perf_counter()
    action()
    seconds, cpu = time.perf_counter() - started, processor_time(pid) - cpu
    print(
        f"{name:8} {1e6 * cpu / count:6.0f} us of the database, {1e6 * seconds / count:6.0f} us in "
        f"all, {count / seconds:8,.0f} entries/s"
    )


def main(count: int) -> None:
    """Measure with a number of entries."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        mongod = EmbeddedMongod(settings)
        mongod.start()
        try:
            with open_database(Settings(mongodb_uri=mongod.uri)) as database:
                pid = int(database.client.admin.command("serverStatus")["pid"])
                log = AuditLog(database)
                log.prepare()

                def insert() -> None:
                    for start in range(0, count, BATCH_SIZE):
                        log.append([entry(n) for n in range(start, start + BATCH_SIZE)])

                measure("insert", count, pid, insert)
                measure("seal", count, pid, Sealer(log, "benchmark").seal)
                measure("verify", count, pid, lambda: Verifier(log).verify(TENANT))
                sizes = database.command("collStats", ENTRY_COLLECTION)
        finally:
            mongod.stop()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"an entry has {sizes['avgObjSize']} bytes, {sizes['storageSize'] / count:.0f} on disk and "
        f"{sizes['totalIndexSize'] / count:.0f} in indexes; this process used {memory} MiB"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
