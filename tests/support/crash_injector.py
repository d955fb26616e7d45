"""Simulated crashes of a worker after its n-th write of any kind.

A write is a command that changes the database, or a SET at an element. After the crash no thread
can write until the test starts the next worker.
"""

from contextlib import contextmanager

from pymongo.synchronous.bulk import _Bulk
from pymongo.synchronous.pool import Connection

from adapters.snmp.session import Session

WRITE_COMMANDS = {"insert", "update", "delete", "findAndModify", "findandmodify"}


class ProcessKilled(BaseException):
    """The worker has crashed."""


class CrashInjector:
    """The writes of a worker, and the crash after one of them.

    Attributes:
        crash_after: The number of writes before the crash; 0 for no crash.
        writes: Descriptions of the writes so far.
        is_crashed: Whether the worker has crashed.
    """

    def __init__(self):
        self.arm()

    def arm(self, crash_after=0, replacement=None):
        """Start counting again; crash, or call ``replacement``, after a number of writes."""
        self.crash_after = crash_after
        self.replacement = replacement
        self.writes = []
        self.is_crashed = False

    def check_alive(self):
        if self.is_crashed:
            raise ProcessKilled

    def record_write(self, description):
        self.check_alive()
        self.writes.append(description)
        if self.crash_after and len(self.writes) >= self.crash_after:
            self.crash_after = 0
            if self.replacement is None:
                self.is_crashed = True
                raise ProcessKilled
            self.replacement()


@contextmanager
def inject_crashes():
    """Yield a ``CrashInjector`` that counts all writes of this process."""
    injector = CrashInjector()
    command, write_command, set_ = Connection.command, _Bulk.write_command, Session.set

    def counted_command(self, dbname, spec, *rest, **more):
        injector.check_alive()
        result = command(self, dbname, spec, *rest, **more)
        if (name := next(iter(spec))) in WRITE_COMMANDS:
            injector.record_write(f"{name} {spec[name]}")
        return result

    def counted_write_command(self, bwc, cmd, *rest):
        injector.check_alive()
        result = write_command(self, bwc, cmd, *rest)
        injector.record_write(" ".join(map(str, next(iter(cmd.items())))))
        return result

    async def counted_set(self, oid, syntax, content):
        injector.check_alive()
        await set_(self, oid, syntax, content)
        injector.record_write("SET")

    Connection.command, _Bulk.write_command = counted_command, counted_write_command
    Session.set = counted_set
    try:
        yield injector
    finally:
        Connection.command, _Bulk.write_command = command, write_command
        Session.set = set_
