"""The number of files and connections that the process may have open.

Many systems permit a process 1024 open files unless it asks for more. Each connection of a client
is one, and so is each connection to the database and each temporary file of a large response.

Source: getrlimit(2), RLIMIT_NOFILE.
"""

import logging
import resource

from tmf_apis.settings import Settings

log = logging.getLogger(__name__)

#: Open files beside the connections of clients: database, logs, files of large responses.
_RESERVE = 1024


def raise_open_files_limit(settings: Settings) -> None:
    """Ask the system for as many open files as the connections of the settings need."""
    needed = (settings.connection_limit or 64 * 1024) + _RESERVE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    permitted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (permitted, hard))
    if permitted < needed and settings.connection_limit:
        log.warning(
            "the system permits too few open files for TMF_CONNECTION_LIMIT; raise its limit"
            " (ulimit -n), or lower the setting",
            extra={"permitted": permitted, "needed": needed},
        )
