"""Processes by name: those that ended as told are not missed, those that are gone are forgotten."""

from labeler.store import Store
from tests.support.store import alarms

NOW = 10_000.0


def say(store: Store, *names: str, at: float = NOW) -> None:
    for name in names:
        store.processes.say(name, "Busy.", pid=1, now=at)


def missed(store: Store, now: float) -> list[str]:
    return [sentence for sentence in alarms(store, now=now) if "no sign of life" in sentence]


def names(store: Store) -> set[str]:
    return {process.name for process in store.processes.all()}


def test_of_two_samplers_each_is_heard_for_itself(store: Store) -> None:
    say(store, "sampler web1:1")
    say(store, "sampler web2:1", at=NOW - 45)
    [sentence] = missed(store, NOW)
    assert sentence.startswith("The sampler web2:1 has given no sign of life for 45 seconds")
    assert "`livedpo sampler`" in sentence


def test_one_that_ends_as_told_leaves_nothing_behind(store: Store) -> None:
    say(store, "sampler web1:1", "sampler web1:11", "worker")
    store.processes.alarm("sampler web1:1: trouble", "the disk is full")
    store.processes.leave("sampler web1:1", now=NOW)
    assert names(store) == {"sampler web1:11", "worker"}
    store.processes.leave("worker", now=NOW)
    say(store, "sampler web1:11", at=NOW + 600)
    assert missed(store, NOW + 600) == [], "the worker was stopped on purpose"


def test_one_that_died_is_missed_for_ten_minutes_if_another_does_its_work(store: Store) -> None:
    say(store, "web web1:1", "web", "worker", at=NOW - 700)
    store.processes.alarm("web web1:1: trouble", "the port is taken")
    say(store, "web web2:1", "sampler web2:2")
    store.processes.forget_gone(now=NOW - 150)
    assert len(names(store)) == 6
    store.processes.forget_gone(now=NOW)
    assert names(store) == {"web web2:1", "sampler web2:2", "worker"}, "nobody trains"
    say(store, "trainer web2:3")
    store.processes.forget_gone(now=NOW)
    assert names(store) == {"web web2:1", "sampler web2:2", "trainer web2:3"}


def test_nothing_is_forgotten_of_a_service_that_is_off(store: Store) -> None:
    say(store, "web", "scheduler", "worker", at=NOW - 5000)
    store.processes.forget_gone(now=NOW)
    assert names(store) == {"web", "scheduler", "worker"}


def test_one_that_failed_at_its_start_is_an_alarm_until_another_does_its_work(
    store: Store,
) -> None:
    say(store, "scheduler web1:1")
    store.processes.alarm("web web1:2: trouble", "the port is taken")
    store.processes.alarm("scheduler: tidy", "the disk is full")
    store.processes.forget_gone(now=NOW)
    assert "web web1:2: trouble" in names(store), "there is no page yet"
    say(store, "web web1:3")
    store.processes.alarm("web web1:3: trouble", "the disk is full")
    store.processes.forget_gone(now=NOW)
    assert names(store) == {
        "scheduler web1:1",
        "scheduler: tidy",
        "web web1:3",
        "web web1:3: trouble",
    }
