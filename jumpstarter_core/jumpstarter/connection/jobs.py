"""Which job of a CI service this process belongs to: leases that a job has made are for that job."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

#: Key of a lease's context for the job that has made it.
JOB_KEY: Final = "ci-job"
#: The same for the shell that `jmp create lease` was typed into.
SHELL_KEY: Final = "shell"

#: The variables that together name one job, by service; the first of which all are set count. A job that is repeated, or runs
#: in several variants at a time, is another job each time.
VARIABLES: Final = (
    ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "RUNNER_NAME"),
    ("CI_JOB_ID",),  # GitLab
    ("BUILDKITE_JOB_ID",),
    ("CIRCLE_WORKFLOW_JOB_ID",),
    ("SYSTEM_JOBID", "BUILD_BUILDID"),  # Azure Pipelines
    ("CIRRUS_TASK_ID",),
    ("TRAVIS_JOB_ID",),
    ("BUILD_TAG",),  # Jenkins
)
#: Characters of a value of a lease's context.
LONGEST: Final = 64


def job_id(environment: Mapping[str, str] = os.environ) -> str:
    """The job that this process belongs to, as one word; "" outside of CI services."""
    for names in VARIABLES:
        values = [environment.get(name, "") for name in names]
        if all(values):
            return _short("-".join(values))
    return ""


def shell_id() -> str:
    """The terminal, or the script of a service, that this process was started from; "" where that cannot be told."""
    try:
        return _short(f"{os.uname().nodename}-{os.stat('/proc/self/ns/pid').st_ino}-{os.getsid(0)}")  # noqa: PTH116
    except OSError:
        return ""


def job_context() -> dict[str, str]:
    """What a lease's context says of the job, and of the shell, that has made it."""
    found = {JOB_KEY: job_id(), SHELL_KEY: shell_id()}
    return {key: value for key, value in found.items() if value}


def _short(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()
