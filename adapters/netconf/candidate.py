"""Changing the configuration through the candidate: locked, committed, taken back (RFC 6241)."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from xml.sax.saxutils import escape

from adapters.errors import Conflict, ElementError, Rejected
from adapters.netconf.session import PERSIST, Session

LOCK_RETRY_INTERVAL = 0.2  # seconds between two tries to lock
#: A confirmed commit that hangs on the session that made it, not on a name: "session:<number>".
SESSION_TOKEN_PREFIX = "session:"


@asynccontextmanager
async def lock(session: Session, timeout: float) -> AsyncIterator[None]:
    """Hold the lock of the candidate, which is then a copy of running; leave it so.

    Raises:
        Conflict: Somebody else holds it, or has left edits in it, for longer than ``timeout``
            (in seconds), or waits to confirm a commit.
    """
    end = asyncio.get_running_loop().time() + timeout
    while True:
        try:
            await session.call("<lock><target><candidate/></target></lock>")
            break
        except Conflict as error:
            if asyncio.get_running_loop().time() >= end:
                message = f"the candidate is not to be had: {error.message}"
                raise Conflict(session.element, message) from error
        await asyncio.sleep(LOCK_RETRY_INTERVAL)
    try:
        try:
            yield
        finally:
            with suppress(ElementError):  # after a commit there is nothing to discard
                if not session.is_lost:
                    await session.call("<discard-changes/>")
    finally:
        with suppress(ElementError):  # a session that is lost has no locks
            if not session.is_lost:
                await session.call("<unlock><target><candidate/></target></unlock>")


async def edit(session: Session, config: str, *, validate: bool) -> None:
    """Edit the locked candidate.

    Args:
        session: It has the lock.
        config: What to change.
        validate: Ask the server to check the candidate; netconfd 2.13 then commits without the
            edit. A commit validates anyway.

    Raises:
        Rejected: The server refuses.
    """
    await session.call(
        "<edit-config><target><candidate/></target>"
        "<default-operation>merge</default-operation>"
        f"{_error_option(session)}{config}</edit-config>"
    )
    if validate:
        await session.call("<validate><source><candidate/></source></validate>")


def _error_option(session: Session) -> str:
    if session.has_capability("urn:ietf:params:netconf:capability:rollback-on-error:"):
        return "<error-option>rollback-on-error</error-option>"
    return ""


async def commit(session: Session, confirm_within: float | None, persist_id: str) -> str:
    """Make running what the candidate is.

    Args:
        session: It has the lock.
        confirm_within: Seconds until the server takes it back unless it is confirmed; None: never.
        persist_id: What to call the commit that waits to be confirmed.

    Returns:
        What ``confirm`` and ``cancel`` need; empty without ``confirm_within``.
    """
    if confirm_within is None:
        await session.call("<commit/>")
        return ""
    timeout = f"<confirm-timeout>{max(1, math.ceil(confirm_within))}</confirm-timeout>"
    if not session.has_capability(PERSIST):
        await session.call(f"<commit><confirmed/>{timeout}</commit>")
        return f"{SESSION_TOKEN_PREFIX}{session.session_id}"
    await session.call(
        f"<commit><confirmed/>{timeout}<persist>{escape(persist_id)}</persist></commit>"
    )
    return persist_id


async def extend(session: Session, confirm_within: float, persist_id: str) -> str:
    """Give a commit that waits to be confirmed more time.

    Returns:
        What ``confirm`` needs; empty where no commit of this name waits.
    """
    inside = f"<confirmed/><confirm-timeout>{max(1, math.ceil(confirm_within))}</confirm-timeout>"
    token = f"{SESSION_TOKEN_PREFIX}{session.session_id}"
    if session.has_capability(PERSIST):
        inside, token = f"{inside}<persist-id>{escape(persist_id)}</persist-id>", persist_id
    try:
        await session.call("<discard-changes/>")
        await session.call(f"<commit>{inside}</commit>")
    except Rejected:
        return ""
    return token


async def confirm(session: Session, token: str) -> bool:
    """Make a commit last; False where the server knows no such commit."""
    return await _finish_commit(session, token, lambda inside: f"<commit>{inside}</commit>")


async def cancel(session: Session, token: str) -> bool:
    """Take a commit back; False where the server knows no such commit."""
    return await _finish_commit(
        session, token, lambda inside: f"<cancel-commit>{inside}</cancel-commit>"
    )


async def _finish_commit(session: Session, token: str, request: Callable[[str], str]) -> bool:
    inside = f"<persist-id>{escape(token)}</persist-id>"
    if token.startswith(SESSION_TOKEN_PREFIX):
        if token != f"{SESSION_TOKEN_PREFIX}{session.session_id}":
            return False  # that session is gone, and the server has taken its commit back
        inside = ""
    try:
        await session.call("<discard-changes/>")  # a commit would take a stranger's edits along
        await session.call(request(inside))
    except Rejected:
        return False
    return True
