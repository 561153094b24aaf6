"""What an exporter and its controller agree on about registrations, all of it in metadata that stock peers do not send.

A controller gives each registration of an exporter a number, in the trailing metadata of Register's answer. The exporter sends
it with every call. What comes with a lower number is from an earlier process, and has no effect.
"""

from __future__ import annotations

from typing import Final

#: The number of the registration.
SESSION_KEY: Final = "x-jmp-session"

#: With the answer to Register: where the process is that has been replaced, when it was still connected.
REPLACES_KEY: Final = "x-jmp-replaces"

#: The kind of refusal for a process that has been replaced.
SUPERSEDED: Final = "Superseded"
