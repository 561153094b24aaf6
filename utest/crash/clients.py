"""Clients that write down what they were told, and look whether it stays true."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from jumpstarter.client.lab import ControllerUnreachable, Lab, Lease
from jumpstarter.common.exceptions import ConnectionError, JumpstarterException, LeaseError
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.connection.controller import controller
from jumpstarter.connection.holding import new_lease_name
from jumpstarter.connection.lease import LeaseRequest, client_of, lease

T = TypeVar("T")

#: Seconds between attempts to reach the controller, and for which an exporter that leased is waited for.
PAUSE, PATIENCE = 0.1, 120.0
LONG, LONGER, SHORT = timedelta(minutes=30), timedelta(minutes=45), timedelta(seconds=3)
#: How long the exporters' leases last, unless they are extended.
HELD = timedelta(minutes=2)


@dataclass
class Known:
    """What a client was told about a lease of its own; *durations* are two while an extension was not answered."""

    name: str
    durations: set[timedelta]
    exporter: str = ""
    begun: datetime | None = None
    releasing: bool = False
    ended: datetime | None = None

    def learn(self, lease: Lease) -> None:
        """Compare with what was told before; raises AssertionError when something was lost or changed."""
        assert lease.name == self.name
        assert lease.duration in self.durations, (lease, self)
        if self.begun is not None:
            assert (lease.exporter, lease.effective_begin_time) == (self.exporter, self.begun), (lease, self)
        if self.ended is not None:
            assert lease.effective_end_time == self.ended, (lease, self)
        elif not self.releasing:
            assert lease.failure is None, (lease, self)
        if lease.effective_begin_time is not None:
            self.exporter, self.begun = lease.exporter, lease.effective_begin_time
        self.ended = lease.effective_end_time if lease.failure is not None else None


@dataclass
class Load:
    """What all clients share. `steps` counts what the controller acknowledged to each of them."""

    stop: threading.Event = field(default_factory=threading.Event)
    steps: dict[str, int] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    _progress: threading.Condition = field(default_factory=threading.Condition)
    failed: bool = False

    def acknowledge(self, who: str) -> None:
        with self._progress:
            self.steps[who] = self.steps.get(who, 0) + 1
            self._progress.notify_all()

    def fail(self) -> None:
        """A client has found something: nobody needs to wait any longer."""
        with self._progress:
            self.failed = True
            self._progress.notify_all()

    def until_everybody_got_on(self, who: list[str], steps: int, timeout: float) -> None:
        """Wait until each of *who* has been acknowledged so many steps more."""
        with self._progress:
            before = dict(self.steps)

            def behind() -> list[str]:
                return [each for each in who if self.steps.get(each, 0) < before.get(each, 0) + steps]

            got_on = self._progress.wait_for(lambda: self.failed or not behind(), timeout)
            assert got_on, f"{behind()} did not get on within {timeout:g} s"

    def until_some_got_on(self, steps: int, timeout: float) -> None:
        """Wait until so many steps more have been acknowledged, whoever it was."""
        with self._progress:
            before = sum(self.steps.values())
            done = self._progress.wait_for(
                lambda: self.failed or sum(self.steps.values()) >= before + steps, timeout
            )
            assert done, f"not {steps} steps within {timeout:g} s: {self.steps}"

    def pause(self, seconds: float) -> None:
        self.stop.wait(seconds)


class Client:
    """Calls of one client that are tried again until the controller is there."""

    def __init__(self, load: Load, name: str, lab: Lab) -> None:
        self.load = load
        self.name = name
        self.lab = lab
        self._random = random.Random(name)

    def call(self, method: Callable[[], T]) -> T:
        """The answer of the controller, after however many outages."""
        while True:
            try:
                answer = method()
            except ControllerUnreachable:
                # Not the load's event: what was begun is brought to its end.
                threading.Event().wait(PAUSE)
                continue
            self.load.acknowledge(self.name)
            return answer

    def create(self, selector: str, duration: timedelta) -> Known:
        """A new lease, which is made once, however often it is asked for."""
        known, asked = Known(new_lease_name(), {duration}), 0

        def create() -> Lease:
            nonlocal asked
            asked += 1
            try:
                return self.lab.create_lease(selector=selector, duration=duration, lease_id=known.name)
            except LeaseError as error:
                if asked > 1 and "already exists" in str(error):
                    return self.lab.get_lease(known.name)
                raise

        known.learn(self.call(create))
        self.load.known[known.name] = known
        return known

    def until(self, known: Known, reached: Callable[[Lease], bool]) -> None:
        """Follow the lease until it is as wanted."""

        def follow() -> None:
            for event in self.lab.watch_lease(known.name, PATIENCE):
                known.learn(event.lease)
                if reached(event.lease):
                    return
            raise AssertionError(f"the watch ended early: {known}")

        self.call(follow)

    def extend(self, known: Known, duration: timedelta) -> None:
        known.durations.add(duration)
        lease = self.call(lambda: self.lab.update_lease(known.name, duration=duration))
        known.durations = {duration}
        known.learn(lease)

    def release(self, known: Known) -> None:
        known.releasing = True

        def release() -> None:
            try:
                self.lab.delete_lease(known.name)
            except LeaseError as error:
                assert "is released already" in str(error), error

        self.call(release)
        self.look(known)
        assert known.ended is not None, known

    def look(self, known: Known) -> None:
        known.learn(self.call(lambda: self.lab.get_lease(known.name)))

    def hesitate(self) -> None:
        self.load.pause(self._random.uniform(0, 0.04))


def turn_over(load: Load, name: str, config: ClientConfigV1Alpha1) -> None:
    """Lease, extend and release boards until stopped."""
    with controller(config) as lab:
        client = Client(load, name, lab)
        while not load.stop.is_set():
            known = client.create("kind=many", LONG)
            client.until(known, lambda lease: lease.ready)
            client.hesitate()
            client.extend(known, LONGER)
            client.hesitate()
            client.look(known)
            client.release(known)


def let_expire(load: Load, name: str, config: ClientConfigV1Alpha1) -> None:
    """Lease a board for a short time, again and again, and see that it lasts so long."""
    with controller(config) as lab:
        client = Client(load, name, lab)
        while not load.stop.is_set():
            known = client.create("kind=short", SHORT)
            # It ends by itself; perhaps before its client hears that it began, as the next controller may need longer.
            known.releasing = True
            client.until(known, lambda lease: lease.failure is not None)
            assert known.begun is not None, known
            assert known.ended is not None, known
            assert known.begun + SHORT <= known.ended <= datetime.now(UTC), known


def keep(load: Load, name: str, config: ClientConfigV1Alpha1) -> None:
    """Use the exporter with the label ``kind=NAME`` until stopped: always the same lease, and the same driver."""
    told: list[str] = []
    request = LeaseRequest(selector=f"kind={name}", duration=HELD, retry_timeout=PATIENCE)
    with (
        lease(config, request, progress=told.append, notify=told.append) as leased,
        client_of(leased) as client,
    ):
        counting = client.children["counting"]
        instance, count = counting.call("count")
        while not load.stop.is_set():
            try:
                found, counted = counting.call("count")
            except ConnectionError:
                load.pause(PAUSE)
                continue
            finally:
                assert leased.ended is None, (leased.ended, told)
            assert found == instance, "the session was not kept"
            assert counted > count
            count = counted
            load.acknowledge(name)
            load.pause(0.02)


def watched(load: Load, work: Callable[[Load, str, ClientConfigV1Alpha1], None]) -> Callable[..., None]:
    """*work*, whose failure ends everybody's waiting."""

    def run(name: str, config: ClientConfigV1Alpha1) -> None:
        try:
            work(load, name, config)
        except (AssertionError, JumpstarterException):
            load.fail()
            raise

    return run
