"""Why the lab refuses a request. Each is one line saying what was found, what was expected and what to do.

::

    Refused                a request that the lab does not grant
    ├── InvalidRequest     the request itself is wrong, whatever the lab holds
    ├── NotFound           there is no such lease, exporter, client or policy
    ├── AlreadyExists      the name is taken
    ├── NotPermitted       it is not the caller's to ask for, or no access policy allows it
    └── WrongState         it does not fit the state of the lease or exporter
        ├── ExporterTaken  another lease holds the exporter
        ├── Claimed        another connection uses the lease
        ├── Unregistered   the exporter is not known as it says that it is: it has to register
        └── Superseded     another process has registered as the exporter since

Services map them to gRPC status codes; nothing here knows about them.
"""

from __future__ import annotations

from jumpstarter.common.exceptions import JumpstarterException


class Refused(JumpstarterException):
    """Base class of what the lab refuses; not raised itself."""


class InvalidRequest(Refused):
    """Raised when a name, tag, context, time or update mask is not valid."""


class NotFound(Refused):
    """Raised when a record is asked for that does not exist."""


class AlreadyExists(Refused):
    """Raised when a record is added under a name that is taken."""


class NotPermitted(Refused):
    """Raised when the caller may not do it, or when no access policy allows it."""


class WrongState(Refused):
    """Raised when a lease or exporter is not in a state that allows it."""


class ExporterTaken(WrongState):
    """Raised when an exporter would get a second holder."""


class Claimed(WrongState):
    """Raised when a lease is wanted for oneself, and another connection uses it."""


class Unregistered(WrongState):
    """Raised when an exporter says that it is back, and what is known of it is something else."""


class Superseded(WrongState):
    """Raised when a process speaks for an exporter as which another one has registered since."""
