"""Runs of Robot in processes of their own, with an exporter's file and suites that are written for a test."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree as ET

HERE = Path(__file__).parent
#: Seconds for a run to end.
PATIENCE = 300.0


class RobotRun:
    """A run of *suites* (texts by file name) in *directory*; `${CONFIG}` is a file that exports *export* (YAML)."""

    def __init__(self, directory: Path, export: str, **suites: str) -> None:
        self.output = directory / "output.xml"
        sources = directory / "suites"
        sources.mkdir()
        for name, text in suites.items():
            (sources / f"{name}.robot").write_text(textwrap.dedent(text))
        (directory / "exporter.yaml").write_text(
            "metadata: {name: board}\nexport:\n" + textwrap.indent(textwrap.dedent(export), "  ")
        )
        self._log = directory / "console.log"
        options = ("-d", directory, "-v", f"CONFIG:{directory}/exporter.yaml", "--consolecolors", "off")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "robot", *map(str, options), str(sources)],
                env={**os.environ, "HOME": str(directory), "PYTHONPATH": str(HERE)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the end; the exit code."""
        try:
            return self.process.wait(seconds)
        finally:
            self.process.kill()
            self.process.wait()

    @property
    def console(self) -> str:
        """What Robot has printed."""
        return self._log.read_text()

    @property
    def root(self) -> ET.Element:
        """The root of output.xml."""
        return ET.parse(self.output).getroot()

    def test(self, name: str) -> ET.Element:
        """The element of test *name*."""
        return next(test for test in self.root.iter("test") if test.attrib["name"] == name)

    def text(self) -> str:
        """The whole output.xml as text."""
        return "\n".join(text for element in self.root.iter() if (text := element.text))


def messages(element: ET.Element) -> str:
    """All messages below *element*."""
    return "\n".join(message.text or "" for message in element.iter("msg"))
