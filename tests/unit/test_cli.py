"""The command ``tmf`` as a process of its own."""

import subprocess
import sys


def test_commands_that_are_imported_late_print_no_warning():
    result = subprocess.run(
        (sys.executable, "-m", "tmf_apis", "privacy", "export", "--help"),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.startswith("Usage:")
    assert result.stderr == ""
