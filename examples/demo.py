"""Start a lab with two boards, and run Robot suites that lease them by labels. `make demo` runs this.

One board is the simulated one, which needs nothing. The other is the best that this machine has: an aarch64 board,
emulated by QEMU, where there are qemu-system-aarch64 and Debian's U-Boot; it boots Linux where
scripts/board/get-debian-arm64 has fetched one. Elsewhere it is a second simulated board.

The lab is a controller and two exporters on free ports of this machine, below a temporary folder. Nothing of it is
left at the end, and no configuration of the user is read or changed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
JMP = Path(sys.executable).with_name("jmp")
UBOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
EMULATOR = "qemu-system-aarch64"
#: Seconds for an exporter or the controller to end by itself.
GRACE = 30


@dataclass(frozen=True)
class Board:
    """A board to run: its exporter, the suite for it, Robot's options, and how to get a better board."""

    title: str
    name: str
    exporter: str
    suite: str
    options: tuple[str, ...] = ()
    better: str = ""


SIMULATED = Board(
    title="the simulated board (no hardware and no emulator)",
    name="simulated",
    exporter="simulated.yaml",
    suite="simulated_board.robot",
    better="For a real aarch64 board, emulated: scripts/board/install-qemu (Debian; needs root)",
)
QEMU = Board(
    title="an aarch64 board emulated by QEMU, with U-Boot",
    name="qemu",
    exporter="qemu-aarch64.yaml",
    suite="qemu_board.robot",
    options=("--exclude", "linux"),
    better="To boot Linux on it too: scripts/board/get-debian-arm64",
)
QEMU_LINUX = Board(
    title="an aarch64 board emulated by QEMU, with U-Boot and Linux",
    name="qemu",
    exporter="qemu-aarch64.yaml",
    suite="qemu_board.robot",
)
#: The board that is always there, with the labels that its suite asks for.
SECOND = "widget"
SECOND_LABELS = ("vendor=acme", "model=widget-v2")
SECOND_SUITE = "device_boot_test.robot"

#: A lab on free ports, without the login service, which nobody needs here.
SETTINGS = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ControllerConfig
listen: 127.0.0.1:0
router:
  listen: 127.0.0.1:0
login:
  listen: ""
"""


def linux_directory(environ: Mapping[str, str]) -> Path:
    """Where scripts/board/get-debian-arm64 puts its files."""
    cache = Path(environ.get("XDG_CACHE_HOME") or "~/.cache") / "jumpstarter"
    return Path(environ.get("JMP_CACHE") or cache).expanduser() / "boards" / "debian-arm64"


def best_board(emulator: bool, uboot: bool, linux: bool) -> Board:
    """The best board with what there is."""
    if not (emulator and uboot):
        return SIMULATED
    return QEMU_LINUX if linux else QEMU


def find_board(environ: Mapping[str, str]) -> Board:
    """The best board of this machine."""
    linux = linux_directory(environ)
    return best_board(
        emulator=shutil.which(EMULATOR) is not None,
        uboot=UBOOT.is_file(),
        linux=(linux / "Image").is_file() and (linux / "initrd.gz").is_file(),
    )


def lab_environment(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* without the user's own lab, for one below *folder*."""
    kept = {
        key: value
        for key, value in environ.items()
        if key == "JMP_CACHE" or not key.startswith(("JMP_", "JUMPSTARTER_"))
    }
    return kept | {
        "JMP_CLIENT_CONFIG_HOME": str(folder / "config"),
        "JMP_CLIENT_CONFIG": str(folder / "client.yaml"),
        # An exporter that does not come up makes the suite fail within a minute.
        "JMP_ACQUISITION_TIMEOUT": "60",
        "XDG_RUNTIME_DIR": str(folder),
    }


@dataclass
class Lab:
    """A controller and exporters that run; *logs* is where they write what they do."""

    folder: Path
    logs: Path
    environment: dict[str, str]
    stack: ExitStack

    def start_controller(self) -> None:
        """Start it and wait until it answers. Exits with the reason when it does not come up."""
        settings = self.folder / "lab.yaml"
        settings.write_text(SETTINGS)
        data = ["--data-dir", str(self.folder / "data")]
        with (self.logs / "controller.log").open("wb") as log:
            controller = self.stack.enter_context(
                service(
                    [str(JMP), "controller", "run", "--config", str(settings), *data],
                    self.environment,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            )
        assert controller.stdout is not None
        if not any(b"The lab runs" in line for line in controller.stdout):
            sys.exit((self.logs / "controller.log").read_text() or "The controller did not start.")

    def add_exporter(self, name: str, labels: Sequence[str], example: str) -> None:
        """Create an exporter, put the drivers of *example* into its file, and start it."""
        path = self.folder / f"{name}.yaml"
        self.admin(
            "exporter", name, *(word for label in labels for word in ("--label", label)), "--out", str(path)
        )
        drivers = (EXAMPLES / "exporters" / example).read_text().partition("\nexport:")
        path.write_text(path.read_text().replace("export: {}\n", "export:" + drivers[2]))
        with (self.logs / f"{name}.log").open("wb") as log:
            command = [str(JMP), "run", "--exporter-config", str(path)]
            self.stack.enter_context(service(command, self.environment, stdout=log, stderr=log))

    def admin(self, *words: str) -> None:
        """Create a client or an exporter. Exits with the reason when that fails."""
        command = [str(JMP), "admin", "create", *words, "--data-dir", str(self.folder / "data")]
        done = subprocess.run(command, env=self.environment, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: {done.stderr}")

    def show(self, *words: str) -> None:
        """Run a command for its user to see."""
        print(f"\n$ jmp {' '.join(words)}", flush=True)
        subprocess.run([str(JMP), *words], env=self.environment, check=False)


@contextmanager
def service(
    command: Sequence[str], environment: Mapping[str, str], **pipes: object
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs as long as the block does. Ctrl-C in the terminal does not reach it: it is stopped in turn."""
    process = subprocess.Popen(command, env=environment, start_new_session=True, **pipes)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def running_lab(board: Board, logs: Path) -> Iterator[Lab]:
    """A lab with *board* and the simulated one, and a client."""
    logs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="jumpstarter-demo-") as name, ExitStack() as stack:
        folder = Path(name)
        lab = Lab(folder, logs, lab_environment(folder, os.environ), stack)
        lab.start_controller()
        lab.add_exporter(SECOND, SECOND_LABELS, SIMULATED.exporter)
        lab.add_exporter(board.name, [f"board={board.name}"], board.exporter)
        lab.admin("client", "demo", "--allow", "jumpstarter_driver_*", "--out", str(folder / "client.yaml"))
        yield lab


def robot_command(board: Board, results: Path, more: Sequence[str] = ()) -> list[str]:
    """The command that runs the suites; they lease their boards by labels."""
    robot = [sys.executable, "-m", "robot", "--outputdir", str(results), "--name", "Demo"]
    variables = ["--variable", f"PYTHON:{sys.executable}", "--variable", f"SELECTOR:board={board.name}"]
    suites = [str(EXAMPLES / "robot" / suite) for suite in (SECOND_SUITE, board.suite)]
    return [*robot, *variables, *board.options, *more, *suites]


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command to its end and return its exit code; a signal to this process ends it first."""
    with subprocess.Popen(arguments, env=environment) as process:
        try:
            code = process.wait()
        except SystemExit as stop:
            ignore_signals()
            # Ctrl-C has reached it by itself, as it does every process in the terminal's foreground.
            if stop.code != 128 + signal.SIGINT:
                process.terminate()
            process.wait()
            raise
    return code if code >= 0 else 128 - code


def stop(number: int, frame: object) -> None:
    """End this process, with all that it has started."""
    sys.exit(128 + number)


def ignore_signals() -> None:
    """From here on it ends by itself."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def main(argv: Sequence[str] | None = None) -> int:
    """Choose a board, start a lab with it, run the suites, and say where the log is."""
    parser = argparse.ArgumentParser(
        description="Run the Robot suites of examples/ in a lab with two boards."
    )
    parser.add_argument("--board", choices=["best", "simulated"], default="best", help="(%(default)s)")
    parser.add_argument(
        "--results", type=Path, default=EXAMPLES.parent / "results" / "demo", help="(%(default)s)"
    )
    parser.add_argument("robot", nargs="*", help="further options of robot, after --")
    options = parser.parse_args(argv)
    board = SIMULATED if options.board == "simulated" else find_board(os.environ)
    results = options.results.absolute()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    print(f"Board: {board.title}", flush=True)
    print("Starting a lab: a controller and two exporters ...", flush=True)
    with running_lab(board, results / "lab") as lab:
        code = run(robot_command(board, results, options.robot), lab.environment)
        lab.show("get", "exporters", "--with", "online,status")
        lab.show("get", "leases", "--all")
        ignore_signals()
    print(f"\nBoard: {board.title}")
    if board.better:
        print(board.better)
    if code:
        print(f"What the controller and the exporters had to say: {results / 'lab'}")
    log = results / "log.html"
    print(f"Log: {log}" if log.is_file() else "There is no log: robot did not start, see above.")
    return code


if __name__ == "__main__":
    sys.exit(main())
