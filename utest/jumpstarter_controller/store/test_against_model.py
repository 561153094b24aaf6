"""The store against dictionaries: whatever is done, it holds what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jumpstarter_controller.model import Lease, LeaseState, Refused
from jumpstarter_controller.store import Store, Transaction, open_store

from utest.jumpstarter_controller.labs import MINUTE, NOW, lease

#: (what, which lease, which exporter)
Step = tuple[str, int, int]
STEP = st.tuples(st.sampled_from(["add", "grant", "release", "purge"]), st.integers(0, 4), st.integers(0, 1))
#: Several steps that belong together, and whether they are given up at the end.
WORK = st.tuples(st.lists(STEP, max_size=5), st.booleans())


class GivenUp(Exception):
    """Raised by work that is to be undone."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(tmp_path_factory.mktemp("store") / "lab.sqlite", durable=False)
    yield opened
    opened.close()


def after(model: dict[str, Lease], step: Step, age: int) -> dict[str, Lease] | None:
    """The leases after *step*; None when it is refused."""
    what, number, board = step
    name, exporter = f"l{number}", f"b{board}"
    old = model.get(name)
    if what == "purge":
        return {key: x for key, x in model.items() if not x.ended}
    if what == "add":
        return None if old else {**model, name: lease(name, pin=exporter, age=age * MINUTE)}
    if old is None or old.ended:
        return None
    if what == "release":
        return {**model, name: old.released(NOW)}
    taken = any(x.exporter == exporter and x.state is LeaseState.READY for x in model.values())
    if old.state is not LeaseState.WAITING or taken:
        return None
    return {**model, name: old.granted(NOW, exporter, 0, False)}


def do(transaction: Transaction, step: Step, age: int) -> None:
    what, number, board = step
    name, exporter = f"l{number}", f"b{board}"
    if what == "purge":
        transaction.leases.purge(NOW + MINUTE)
        return
    if what == "add":
        transaction.leases.add(lease(name, pin=exporter, age=age * MINUTE))
        return
    old = transaction.leases.get(name) or lease(name, pin=exporter)
    new = old.released(NOW) if what == "release" else old.granted(NOW, exporter, 0, False)
    transaction.leases.save(new)


def carry_out(transaction: Transaction, steps: list[Step], give_up: bool) -> list[bool]:
    """Do the steps; which of them were refused."""
    refused = []
    for age, step in enumerate(steps):
        try:
            do(transaction, step, age)
        except Refused:
            refused.append(True)
        else:
            refused.append(False)
    if give_up:
        raise GivenUp
    return refused


@settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(history=st.lists(WORK, max_size=8))
def test_the_store_holds_what_a_dictionary_holds(
    store: Store, history: list[tuple[list[Step], bool]]
) -> None:
    store.change(_empty)
    model: dict[str, Lease] = {}
    # All work waits at once, so that it shares commits as that of many clients does.
    futures = [store.submit(partial(carry_out, steps=steps, give_up=up)) for steps, up in history]
    for (steps, give_up), future in zip(history, futures, strict=True):
        expected, refused = dict(model), []
        for age, step in enumerate(steps):
            changed = after(expected, step, age)
            refused.append(changed is None)
            expected = expected if changed is None else changed
        if give_up:
            assert isinstance(future.exception(60), GivenUp)
        else:
            assert future.result(60) == refused
            model = expected
    found = store.read(lambda t: (t.leases.page(), t.leases.active()))
    assert {x.name: x for x in found[0]} == model
    active = [x for x in model.values() if not x.ended]
    assert list(found[1]) == sorted(active, key=lambda x: (x.created_at, x.name))


def _empty(transaction: Transaction) -> None:
    for x in transaction.leases.active():
        transaction.leases.save(x.released(NOW))
    transaction.leases.purge(NOW + MINUTE)


def test_the_model_itself_refuses_a_second_holder() -> None:
    """The comparison above is worth what its model is worth."""
    model: dict[str, Lease] = {}
    for step in (("add", 0, 0), ("add", 1, 0), ("grant", 0, 0)):
        model = after(model, step, 0) or {}
    assert after(model, ("grant", 1, 0), 0) is None
    assert after(model, ("grant", 1, 1), 0) is not None


def _append(runs: list[int], number: int, _: Transaction) -> None:
    runs.append(number)


def test_work_is_not_run_twice(tmp_path: Path) -> None:
    store = open_store(tmp_path / "lab.sqlite")
    runs: list[int] = []
    for number in range(10):
        store.submit(partial(_append, runs, number))
    store.close()
    assert runs == list(range(10))
