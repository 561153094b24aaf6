"""What an exporter and its controller agree on about registrations, all of it in metadata that stock peers do not send.

A controller gives each registration of an exporter a number, in the trailing metadata of Register's answer. The exporter sends
it with every call. What comes with a lower number is from an earlier process, and has no effect.

An exporter whose line broke need not register again, and tell all its drivers: it asks for its Status at once, and says that it
is back. A controller that has its registration, and the status that it told last, takes it so; any other refuses it.
"""

from __future__ import annotations

from typing import Final

#: The number of the registration.
SESSION_KEY: Final = "x-jmp-session"

#: With the answer to Register: where the process is that has been replaced, when it was still connected.
REPLACES_KEY: Final = "x-jmp-replaces"

#: With the answer to Register: "1" from a controller that takes an exporter back. With Status: the name of
#: the status that an exporter that is back told last.
BACK_KEY: Final = "x-jmp-back"

#: The kind of refusal for an exporter that is back, and has to register all the same.
UNREGISTERED: Final = "Unregistered"

#: The kind of refusal for a process that has been replaced.
SUPERSEDED: Final = "Superseded"
