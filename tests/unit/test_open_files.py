import resource
import subprocess
import sys

import pytest

#: Raises the limit in a process with a soft and a hard limit, and prints what it has then.
PROGRAM = """
import resource, sys
from tmf_apis.open_files import raise_open_files_limit
from tmf_apis.settings import Settings
soft, hard, connections = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
raise_open_files_limit(Settings(connection_limit=connections))
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "permitted", "is_warned"),
    [
        (256, 4096, 1000, 2024, False),
        (256, 1500, 1000, 1500, True),
        (3000, 4096, 1000, 3000, False),
        (256, 4096, 0, 4096, False),
    ],
)
def test_the_connections_of_the_settings_can_be_open(soft, hard, connections, permitted, is_warned):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096:
        pytest.skip("this system permits fewer than 4096 open files")
    arguments = map(str, (soft, hard, connections))
    result = subprocess.run(  # noqa: S603 - its own program
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == [str(permitted), str(hard)]
    assert ("too few open files" in result.stderr) is is_warned
