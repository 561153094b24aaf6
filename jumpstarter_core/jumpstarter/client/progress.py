"""Progress of transfers, under the name that clients use; it is in `jumpstarter.common.progress`."""

from jumpstarter.common.progress import LINE_INTERVAL, Progress

__all__ = ["LINE_INTERVAL", "Progress"]
