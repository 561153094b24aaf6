"""Run inside `jmp shell`: prints the settings that its commands get, then stays until standard input ends."""

from __future__ import annotations

import json
import os
import sys

settings = {name: value for name, value in os.environ.items() if name.startswith(("JUMPSTARTER_", "JMP_"))}
print("settings:" + json.dumps(settings), flush=True)
sys.stdin.read()
