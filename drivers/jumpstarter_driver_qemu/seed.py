"""First-boot data for cloud images: host name, user and password, as cloud-init's data source NoCloud reads
them.
"""

from __future__ import annotations

import json
from pathlib import Path


def write_seed(folder: Path, *, hostname: str, username: str, password: str) -> Path:
    """Write ``meta-data`` and ``user-data`` into *folder* and return it.

    Source: cloud-init's documentation, "NoCloud" and the modules "Users and Groups" and "Set Passwords".
    """
    folder.mkdir(exist_ok=True)
    meta = {"instance-id": "jumpstarter", "local-hostname": hostname}
    user = {
        "ssh_pwauth": True,
        "users": [
            {
                "name": username,
                "plain_text_passwd": password,
                "lock_passwd": False,
                "shell": "/bin/bash",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
            }
        ],
    }
    # JSON is YAML.
    (folder / "meta-data").write_text(json.dumps(meta, indent=1) + "\n")
    (folder / "user-data").write_text("#cloud-config\n" + json.dumps(user, indent=1) + "\n")
    return folder
