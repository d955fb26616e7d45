"""The operator's folder of profiles: JSON files, each describing a type of element."""

import os
from collections.abc import Mapping
from pathlib import Path

#: The environment variable that names the folder.
FOLDER_VARIABLE = "TMF_PROFILES_DIR"


def profile_files(environment: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """Return the files of the folder by the name of their profile; empty if there is no folder."""
    folder = environment.get(FOLDER_VARIABLE, "")
    return {path.stem: path for path in sorted(Path(folder).glob("*.json"))} if folder else {}
