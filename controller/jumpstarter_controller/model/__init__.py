"""What a lab consists of, as frozen values, and the rules they obey. Nothing here does I/O or looks at a clock.

A lab has one namespace; names are bare here, and the services put the namespace around them.
"""

from .audit import AuditEntry
from .clients import Client, Role, Token
from .conditions import Condition, ConditionType, Reason, with_condition
from .errors import (
    AlreadyExists,
    Claimed,
    ExporterTaken,
    InvalidRequest,
    NotFound,
    NotPermitted,
    Refused,
    Superseded,
    Unregistered,
    WrongState,
)
from .exporters import OFFLINE_AFTER, PASSING_STATUSES, READY_STATUSES, Device, Exporter
from .leases import TRANSITIONS, Age, Lease, LeaseSpec, LeaseState, check_new_lease
from .names import (
    RESERVED_PREFIX,
    TAG_PREFIX,
    check_claim,
    check_context,
    check_labels,
    check_name,
    check_tags,
)
from .policies import AccessPolicy, Approval, PolicyRule, check_access, find_approval
from .registrations import check_registration, shortened
from .times import TIME_FIELDS, LeaseTimes, TimeChange, check_update_mask, resolve_times, update_times

__all__ = [
    "OFFLINE_AFTER",
    "PASSING_STATUSES",
    "READY_STATUSES",
    "RESERVED_PREFIX",
    "TAG_PREFIX",
    "TIME_FIELDS",
    "TRANSITIONS",
    "AccessPolicy",
    "Age",
    "AlreadyExists",
    "Approval",
    "AuditEntry",
    "Claimed",
    "Client",
    "Condition",
    "ConditionType",
    "Device",
    "Exporter",
    "ExporterTaken",
    "InvalidRequest",
    "Lease",
    "LeaseSpec",
    "LeaseState",
    "LeaseTimes",
    "NotFound",
    "NotPermitted",
    "PolicyRule",
    "Reason",
    "Refused",
    "Role",
    "Superseded",
    "TimeChange",
    "Token",
    "Unregistered",
    "WrongState",
    "check_access",
    "check_claim",
    "check_context",
    "check_labels",
    "check_name",
    "check_new_lease",
    "check_registration",
    "check_tags",
    "check_update_mask",
    "find_approval",
    "resolve_times",
    "shortened",
    "update_times",
    "with_condition",
]
