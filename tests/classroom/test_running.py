"""Bounds of time, memory and print on what a student wrote, in the main thread as in others."""

import sys
import threading
import time

import pytest
import torch

from dml_teach.classroom import running
from dml_teach.classroom.running import Outcome, TooLarge, TooLong, TooMuchPrinted, bounded, undisturbed


def endless():
    while True:
        pass


def catching_everything():
    for _ in range(3):
        try:
            endless()
        except BaseException:
            continue
    return "after three"


def stubborn():
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        try:
            time.sleep(0.05)
        except BaseException:
            continue


def test_the_value_of_the_work_comes_back():
    assert bounded(lambda: 7).value == 7


def test_what_the_work_raises_comes_back():
    assert isinstance(bounded(lambda: 1 / 0).error, ZeroDivisionError)


def test_an_end_of_the_program_is_only_an_error():
    assert isinstance(bounded(sys.exit).error, SystemExit)


def test_an_endless_loop_is_stopped():
    assert isinstance(bounded(endless, seconds=0.2).error, TooLong)


def test_an_endless_loop_is_stopped_in_another_thread_too():
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.append(bounded(endless, seconds=0.2)))
    thread.start()
    thread.join(20)
    assert isinstance(found[0].error, TooLong)


def test_a_loop_that_catches_everything_is_stopped_again_and_again():
    outcome = bounded(catching_everything, seconds=0.2)
    assert outcome.value == "after three"
    assert not outcome.left_behind


def test_work_that_can_not_be_stopped_is_left_behind(monkeypatch):
    monkeypatch.setattr(running, "GRACE", 0.1)
    before = sys.stdout, sys.stderr
    outcome = bounded(stubborn, seconds=0.1)
    sys.stdout, sys.stderr = before
    assert outcome.left_behind
    assert isinstance(outcome.error, TooLong)


def test_prints_are_kept_from_the_screen(capsys):
    outcome = bounded(lambda: print("hello"))
    assert outcome.printed == "hello\n"
    assert capsys.readouterr().out == ""


def test_prints_of_other_threads_pass(capsys):
    ready, done = threading.Event(), threading.Event()

    def other():
        ready.wait(10)
        print("somebody else")
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    outcome = bounded(lambda: (ready.set(), done.wait(10)))
    thread.join(10)
    assert outcome.printed == ""
    assert capsys.readouterr().out == "somebody else\n"


def test_a_flood_of_prints_is_stopped():
    def flood():
        while True:
            print("x" * 50)

    outcome = bounded(flood, seconds=20)
    assert isinstance(outcome.error, TooMuchPrinted)
    assert len(outcome.printed) <= running.PRINTED


def test_one_huge_print_is_cut():
    outcome = bounded(lambda: print("x" * 10_000_000))
    assert isinstance(outcome.error, TooMuchPrinted)
    assert len(outcome.printed) <= running.PRINTED


@pytest.mark.skipif(not running.STATM.exists(), reason="this system does not tell how much memory a process uses")
def test_growing_memory_is_stopped():
    def hungry():
        held = []
        while True:
            held.append(bytearray(4_000_000))
            time.sleep(0.005)

    assert isinstance(bounded(hungry, seconds=20, megabytes=100).error, TooLarge)


def test_bounds_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("DML_TEACH_CHECK_SECONDS", "0.1")
    assert isinstance(bounded(endless).error, TooLong)


def test_a_bound_that_is_no_number_is_not_used(monkeypatch):
    monkeypatch.setenv("DML_TEACH_CHECK_SECONDS", "soon")
    assert bounded(lambda: 1).value == 1


def test_gradients_switched_off_inside_stay_on_outside():
    bounded(lambda: torch.set_grad_enabled(False))
    assert torch.is_grad_enabled()


def test_random_numbers_and_defaults_are_put_back():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with undisturbed():
        torch.manual_seed(1)
        torch.rand(10)
        torch.set_default_dtype(torch.float64)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_default_dtype() == torch.float32
