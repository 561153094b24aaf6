"""Settings of the shell that ``jmp shell`` starts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class ShellConfigV1Alpha1:
    """*use_profiles*: let the shell read the user's start-up files."""

    use_profiles: bool = False
