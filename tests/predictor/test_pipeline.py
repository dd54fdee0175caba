"""Three functions work on different items at the same time, and the results come in order."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count

import pytest

from cgrseg.predictor.pipeline import AHEAD, in_order, overlap

PATIENCE = 20
"""Seconds after which what never happens counts as a failure."""


def same(item: int) -> int:
    return item


def results(futures) -> list[int]:
    return [future.result(timeout=0) for future in futures]


def test_each_item_goes_through_all_three_functions_in_order():
    assert results(overlap(range(20), lambda x: x + 1, lambda x: x * 10, str)) == [str(10 * x + 10) for x in range(20)]


def test_no_items_give_no_results():
    assert results(overlap([], same, same, same)) == []


def test_the_functions_work_on_three_items_at_once():
    together = threading.Barrier(3)

    def meet(item: int) -> int:
        if place_of[threading.current_thread().name.split("_")[0]] + item == 2:
            together.wait(PATIENCE)
        return item

    place_of = {"overlap-first": 0, "overlap-second": 1, "overlap-third": 2}

    assert results(overlap(range(3), meet, meet, meet)) == [0, 1, 2]


def test_each_function_is_called_by_one_thread_and_not_the_callers():
    threads: list[set[int]] = [set(), set(), set()]

    def note(place: int):
        return lambda item: threads[place].add(threading.get_ident()) or item

    results(overlap(range(10), note(0), note(1), note(2)))

    assert [len(idents) for idents in threads] == [1, 1, 1]
    assert len(set.union(*threads) - {threading.get_ident()}) == 3


def test_few_items_are_begun_before_the_first_is_fetched():
    taken = []

    def items():
        for item in count():
            taken.append(item)
            yield item

    pending = overlap(items(), same, same, same)
    before = len(taken)
    for fetched in range(1, 10):
        next(pending)
        assert len(taken) < fetched + AHEAD
    pending.close()

    assert before == 0


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_exception_belongs_to_its_item_only(place):
    def fail(item: int) -> int:
        return 6 // (item - 2)

    functions = [same, same, same]
    functions[place] = fail

    outcomes = list(overlap(range(5), *functions))

    assert [isinstance(outcome.exception(), ZeroDivisionError) for outcome in outcomes] == [
        item == 2 for item in range(5)
    ]
    assert [outcome.result() for outcome in outcomes if not outcome.exception()] == [-3, -6, 6, 3]


def test_closing_waits_for_the_calls_at_work_and_begins_no_others():
    before, done = set(threading.enumerate()), []
    slow = threading.Event()

    def work(item: int) -> int:
        slow.wait(0.05)
        done.append(item)
        return item

    pending = overlap(count(), same, same, work)
    next(pending)
    pending.close()

    assert set(threading.enumerate()) == before
    assert len(done) <= 2


def test_an_exception_of_the_items_themselves_comes_through_and_ends_the_threads():
    before = set(threading.enumerate())

    def items():
        yield 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        results(overlap(items(), same, same, same))

    assert set(threading.enumerate()) == before


def test_results_of_many_threads_stay_in_order():
    turn = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            turn.wait(PATIENCE)  # the first is done last
        if item == 3:
            turn.set()
        return item

    with ThreadPoolExecutor(4) as pool:
        fetched = results(in_order(range(8), lambda item: pool.submit(work, item), ahead=4))

    assert fetched == list(range(8))


def test_what_is_finished_early_is_handed_out_early():
    submitted = []

    def submit(item: int) -> Future[int]:
        submitted.append(item)
        future: Future[int] = Future()
        future.set_result(item)
        return future

    first = next(in_order(range(8), submit, ahead=4))

    assert first.result() == 0
    assert submitted == [0]


def test_workers_share_the_first_and_the_third_function_and_results_keep_their_order():
    together = [threading.Barrier(3), threading.Barrier(3)]

    def meet(place: int):
        return lambda item: together[place].wait(PATIENCE) * 0 + item

    assert results(overlap(range(6), meet(0), same, meet(1), workers=3)) == list(range(6))


def test_workers_begin_few_items_before_the_first_is_fetched():
    taken = []
    pending = overlap(map(taken.append, count()), same, same, same, workers=4)

    next(pending)

    assert len(taken) <= AHEAD + 2 * 3
    pending.close()
