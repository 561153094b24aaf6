"""What both sides of a passage, and the controller, agree on: see `jumpstarter.lab.v1.LabService.OpenPassage`."""

from __future__ import annotations

from typing import Final

#: Whom the certificate of a passage's exporter is for. No name of a host: RFC 2606 keeps ``invalid`` free of those.
EXPORTER_NAME: Final = "exporter.jumpstarter.invalid"

#: Metadata of an exporter's Listen call: the client that it has a passage open for.
PASSAGE_METADATA_KEY: Final = "x-jmp-passage"

#: Metadata of an exporter's Listen call: how many cuts of the lease it has heard of; without it it is told of none.
CUTS_METADATA_KEY: Final = "x-jmp-cuts"
#: How an exporter is told to end all connections that it has with clients of the lease: what Listen gives it as the router's
#: endpoint begins so, and goes on with the number of the cut.
CUT_PREFIX: Final = "cut:"

#: How an exporter is told to meet a client at a joint: what Listen gives it as the router's endpoint begins so.
JOINT_PREFIX: Final = "joint:"
