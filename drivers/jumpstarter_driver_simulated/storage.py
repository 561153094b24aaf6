"""The storage card of a simulated board, and the side of the multiplexer that it is connected to."""

from __future__ import annotations

import enum
import shutil
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from jumpstarter.common.exceptions import ConfigurationError

from .image import CardContent, identify, write_image


class Side(enum.Enum):
    """What the multiplexer connects the card to."""

    HOST = "host"
    DUT = "dut"
    OFF = "off"


class Card:
    """A card in an unnamed temporary file.

    Args:
        image: what is on it at the start: `builtin` (boots), `empty`, or the path of a file.

    Raises:
        ConfigurationError: the file cannot be read.
    """

    def __init__(self, image: str) -> None:
        self._image = image
        self._side = Side.OFF
        self._lock = threading.Lock()
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - close() closes it
        try:
            self.restore()
        except BaseException:
            self._file.close()
            raise

    def restore(self) -> None:
        """Put on the card what was there at the start."""
        with self._lock:
            self._file.seek(0)
            self._file.truncate()
            if self._image == "builtin":
                write_image(self._file)
            elif self._image != "empty":
                self._copy(Path(self._image))

    def plug(self, side: Side) -> CardContent | None:
        """Connect the card to *side*; gives what the board sees in its slot then (None: no card).

        Waits for a transfer that is under way.
        """
        with self._lock:
            self._side = side
            if side is not Side.DUT:
                return None
            self._file.seek(0)
            return identify(self._file)

    @contextmanager
    def open_for_write(self) -> Generator[IO[bytes], None, None]:
        """The card's file, emptied. Raises RuntimeError when the card is not at the host's side.

        A transfer that breaks off leaves what it wrote, as on a real card; a full disk leaves nothing.
        """
        with self._open() as file:
            file.truncate()
            try:
                yield file
                file.flush()
            except OSError:
                file.seek(0)
                file.truncate()
                raise

    @contextmanager
    def open_for_read(self) -> Generator[IO[bytes], None, None]:
        """The card's file. Raises RuntimeError when the card is not at the host's side."""
        with self._open() as file:
            yield file

    def close(self) -> None:
        """Throw the card away. Closing twice is fine."""
        with self._lock:
            self._file.close()

    @contextmanager
    def _open(self) -> Generator[IO[bytes], None, None]:
        with self._lock:
            if self._side is not Side.HOST:
                raise RuntimeError(
                    f"the storage is at {self._side.value}: connect it to the host first (j storage host)"
                )
            self._file.seek(0)
            yield self._file

    def _copy(self, path: Path) -> None:
        try:
            with path.open("rb") as source:
                shutil.copyfileobj(source, self._file)
        except OSError as error:
            raise ConfigurationError(
                f"SimulatedBoard: image is {self._image!r}, expected builtin, empty or a file: {error}"
            ) from error
