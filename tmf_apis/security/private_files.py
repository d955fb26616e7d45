"""Files for the user of the server only, complete or not there at all: the keys."""

import os
import secrets
from pathlib import Path


def create(path: Path, content: bytes) -> bool:
    """Create a file and its directory; return False if another process has created it.

    Raises:
        OSError: It cannot be created.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = _write_temporary(path, content)
    try:
        os.link(temporary, path)  # unlike a rename, never replaces the file of another process
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def replace(path: Path, content: bytes) -> None:
    """Create a file, or replace it.

    Raises:
        OSError: It cannot be written.
    """
    _write_temporary(path, content).replace(path)


def _write_temporary(path: Path, content: bytes) -> Path:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return temporary
