"""Changes through the candidate datastore: lock, edit, commit and cancel (RFC 6241).

Without a candidate datastore the running configuration itself is locked and edited, and there is
nothing to commit, discard or confirm.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from xml.sax.saxutils import escape

from adapters.errors import Conflict, ElementError, Rejected
from adapters.netconf.session import PERSIST, Session

#: Pause between two attempts to lock, in seconds.
LOCK_RETRY_INTERVAL = 0.2
CANDIDATE_STORE = "candidate"  # a value of ``Session.datastore``
#: Token of a confirmed commit without a persist-id, which belongs to its session:
#: "session:<session-id>".
SESSION_TOKEN_PREFIX = "session:"  # noqa: S105 - not a secret


@asynccontextmanager
async def lock(session: Session, lock_timeout: float) -> AsyncIterator[None]:
    """Lock the datastore while the block runs; afterwards discard uncommitted edits and unlock.

    Raises:
        Conflict: For longer than ``lock_timeout`` seconds, another session holds the lock, has left
            uncommitted edits in the candidate, or has a commit that waits to be confirmed.
    """
    end = asyncio.get_running_loop().time() + lock_timeout
    while True:
        try:
            await session.call(f"<lock><target><{session.datastore}/></target></lock>")
            break
        except Conflict as error:
            if asyncio.get_running_loop().time() >= end:
                message = f"the {session.datastore} cannot be locked: {error.message}"
                raise Conflict(session.element, message) from error
        await asyncio.sleep(LOCK_RETRY_INTERVAL)
    try:
        try:
            yield
        finally:
            with suppress(ElementError):  # after a commit there is nothing to discard
                if not session.is_lost and session.datastore == CANDIDATE_STORE:
                    await session.call("<discard-changes/>")
    finally:
        with suppress(ElementError):  # the server has already released the locks of a lost session
            if not session.is_lost:
                await session.call(f"<unlock><target><{session.datastore}/></target></unlock>")


async def edit(session: Session, config: str, *, validate: bool) -> None:
    """Edit the locked datastore.

    Args:
        session: The session that holds the lock.
        config: The <config> element to merge.
        validate: Send <validate> after the edit. Do not use it with netconfd 2.13, which then
            commits without the edit. A commit validates the candidate anyway.

    Raises:
        Rejected: The server refuses the edit.
    """
    await session.call(
        f"<edit-config><target><{session.datastore}/></target>"
        "<default-operation>merge</default-operation>"
        f"{_error_option(session)}{config}</edit-config>"
    )
    if validate and session.datastore == CANDIDATE_STORE:
        await session.call("<validate><source><candidate/></source></validate>")


def _error_option(session: Session) -> str:
    if session.has_capability("urn:ietf:params:netconf:capability:rollback-on-error:"):
        return "<error-option>rollback-on-error</error-option>"
    return ""


async def commit(session: Session, confirm_within: float | None, persist_id: str) -> str:
    """Commit the candidate to the running configuration; do nothing if that was edited itself.

    Args:
        session: The session that holds the lock.
        confirm_within: Time after which the server reverts the commit unless it is confirmed, in
            seconds; None: the commit is final.
        persist_id: Identifier of a confirmed commit.

    Returns:
        The token for ``confirm`` and ``cancel``; empty without ``confirm_within``.
    """
    if session.datastore != CANDIDATE_STORE:
        return ""
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
    """Restart the timeout of a commit that waits to be confirmed.

    Returns:
        The token for ``confirm``; empty if no such commit waits.
    """
    content = f"<confirmed/><confirm-timeout>{max(1, math.ceil(confirm_within))}</confirm-timeout>"
    token = f"{SESSION_TOKEN_PREFIX}{session.session_id}"
    if session.has_capability(PERSIST):
        content, token = f"{content}<persist-id>{escape(persist_id)}</persist-id>", persist_id
    try:
        await session.call("<discard-changes/>")
        await session.call(f"<commit>{content}</commit>")
    except Rejected:
        return ""
    return token


async def confirm(session: Session, token: str) -> bool:
    """Confirm a commit; return False if the server has no such commit."""
    return await _finish_commit(session, token, "commit")


async def cancel(session: Session, token: str) -> bool:
    """Revert a commit that waits to be confirmed; return False if the server has none."""
    return await _finish_commit(session, token, "cancel-commit")


async def _finish_commit(session: Session, token: str, operation: str) -> bool:
    content = f"<persist-id>{escape(token)}</persist-id>"
    if token.startswith(SESSION_TOKEN_PREFIX):
        if token != f"{SESSION_TOKEN_PREFIX}{session.session_id}":
            return False  # that session has ended, so the server has reverted its commit
        content = ""
    try:
        await session.call("<discard-changes/>")  # else a commit includes the edits of others
        await session.call(f"<{operation}>{content}</{operation}>")
    except Rejected:
        return False
    return True
