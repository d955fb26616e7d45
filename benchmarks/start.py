"""Time from the first start on an empty data directory until the server is ready.

``python -m benchmarks.start`` starts the embedded database alone and then the whole server, in
turn, each on an empty directory. It prints the wall-clock time until each is ready, and the
processor time that each process has used by then. On a busy machine only the latter is meaningful.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.requests import processor_time, run_process, wait_until_ready
from tmf_apis.settings import Settings
from tmf_apis.store.embedded_mongod import EmbeddedMongod

#: Longest wait for a start, in seconds.
TIMEOUT = 300.0
#: Times by name of the process; "wall" is the wall-clock time. In seconds.
Times = dict[str, float]


def database_start(folder: Path) -> Times:
    """Return the times of the database until it is a primary."""
    mongod = EmbeddedMongod(Settings(data_dir=folder))
    started = time.perf_counter()
    mongod.start(TIMEOUT)
    try:
        wall = time.perf_counter() - started
        return {"wall": wall, "mongod": processor_time(mongod.child.pid or 0)}
    finally:
        mongod.stop()


def server_start(folder: Path, port: int) -> Times:
    """Return the times of the server until it is ready."""
    command = [sys.executable, "-m", "tmf_apis", "serve", "--port", str(port)]
    environment = {"TMF_DATA_DIR": str(folder), "TMF_LOG_LEVEL": "ERROR", "TMF_ACCESS_LOG": "off"}
    with run_process(command, environment) as server:
        wall = wait_until_ready(f"http://127.0.0.1:{port}/health/ready", TIMEOUT)
        return {"wall": wall, "server": processor_time(server.pid), **_children(server.pid)}


def _children(pid: int) -> Times:
    """Return the processor time of the children and grandchildren of a process by their name."""
    times: Times = defaultdict(float)
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            name = Path(f"/proc/{child}/comm").read_text().strip()
            times["launcher" if name.startswith("python") else name] += processor_time(child)
            for further, seconds in _children(child).items():
                times[further] += seconds
    return times


def medians(rounds: list[Times]) -> str:
    """Return the medians of the rounds as a text."""
    names = dict.fromkeys(name for times in rounds for name in times)
    values = (statistics.median(times.get(name, 0.0) for times in rounds) for name in names)
    return "  ".join(f"{name} {value:.2f}" for name, value in zip(names, values, strict=True))


def main() -> None:
    """Run the benchmark and print the medians of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--port", type=int, default=8680)
    options = parser.parse_args()
    database: list[Times] = []
    server: list[Times] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            database.append(database_start(Path(folder) / f"database-{number}"))
            server.append(server_start(Path(folder) / f"server-{number}", options.port))
    beyond = statistics.median(s["wall"] - d["wall"] for s, d in zip(server, database, strict=True))
    print("first start until ready, in seconds: wall clock, and processor time of each process")
    print(f"database alone  {medians(database)}")
    print(f"whole server    {medians(server)}")
    print(f"beyond the database's own: {beyond:.2f} s of wall-clock time (at most 3)")


if __name__ == "__main__":
    main()
