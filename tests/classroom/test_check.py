"""What a learner meets: `check`, its words, its hints, its bounds, and the library that may not be asked."""

import contextlib
import json

import numpy as np
import pytest
import torch

import dml_teach.losses
from dml_teach import losses as the_losses
from dml_teach.classroom import check, library, progress
from dml_teach.classroom.registry import Result, by_name
from dml_teach.classroom.task import Task
from dml_teach.losses import kl_divergence as divergence_in_disguise
from tests.classroom.table import answers, exact

HELD = {"kl": the_losses.kl_divergence}


pytestmark = pytest.mark.skipif(not answers(), reason="solutions/ is kept elsewhere")
right = exact("reverse_kl_gradient") if answers() else None


def said(result: Result) -> str:
    return " ".join(result.message.split())


def refused(function) -> str:
    result = check.reverse_kl_gradient(function)
    assert not result
    return said(result)


# --- the answer ---


def test_a_check_prints_its_message_and_gives_it_back(capsys):
    result = check.reverse_kl_gradient(right)
    assert result.passed
    assert capsys.readouterr().out.strip() == result.message
    assert result.message.startswith("Passed: reverse_kl_gradient.")


def test_a_result_shows_nothing_more_in_a_notebook(capsys):
    result = check.reverse_kl_gradient(right)
    capsys.readouterr()
    assert result._ipython_display_() is None
    assert capsys.readouterr().out == ""
    assert repr(result) == "<passed>"


def test_a_stub_is_kindly_told_that_it_is_not_written_yet():
    def stub(logits, target):
        raise NotImplementedError("write me")

    message = refused(stub)
    assert message.startswith("reverse_kl_gradient is not written yet")
    assert "hint(1)" in message
    assert progress.read() == {}  # that was no try


def test_a_result_handed_over_instead_of_the_function_is_told():
    assert "Hand over the function itself" in refused(right(torch.zeros(1, 2), torch.zeros(1, 2)))


def test_another_seed_makes_other_cases():
    seen = {0: [], 1: []}

    def spy(seed):
        def look(logits, target):
            seen[seed].append(logits.sum().item())
            return right(logits, target)

        return look

    for seed in seen:
        check.reverse_kl_gradient(spy(seed), seed=seed)
    assert seen[0] != seen[1]


def test_the_seed_comes_from_the_environment(monkeypatch):
    seen = []

    def look(logits, target):
        seen.append(logits.sum().item())
        return right(logits, target)

    check.reverse_kl_gradient(look, seed=3)
    explicit, seen[:] = list(seen), []
    monkeypatch.setenv("DML_TEACH_CHECK_SEED", "3")
    check.reverse_kl_gradient(look)
    assert seen == explicit


def test_an_unknown_task_suggests_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'mended_step'"):
        _ = check.mended_stp


def test_dir_lists_every_task_and_progress():
    assert set(dir(check)) == {*by_name(), "progress"}


# --- hints ---


@pytest.mark.parametrize("task", by_name().values(), ids=by_name())
def test_there_are_three_different_hints(task: Task, capsys):
    for step in (1, 2, 3):
        getattr(check, task.name).hint(step)
    printed = capsys.readouterr().out
    assert all(f"Hint {step} of 3." in printed for step in (1, 2, 3))
    assert len(set(task.hints)) == 3


def test_a_fourth_hint_does_not_exist(capsys):
    check.mended_step.hint(4)
    assert "hints 1, 2 and 3" in capsys.readouterr().out


# --- bounds and exceptions ---


def test_an_exception_is_shown_with_the_line_of_the_student_alone():
    def crash(logits, target):
        helper = torch.zeros(2, 2)
        return helper @ torch.zeros(3, 3)  # the line

    message = refused(crash)
    assert "RuntimeError: mat1 and mat2 shapes cannot be multiplied" in message
    assert "`return helper @ torch.zeros(3, 3) # the line`" in message
    assert "compare.py" not in message and "File" not in message


def test_an_exception_names_the_case_in_which_it_came():
    def one_image_is_too_few(logits, target):
        if logits.shape == (1, 5):
            raise ValueError("too few")
        return right(logits, target)

    assert "an error with a batch of one image" in refused(one_image_is_too_few)


def test_a_long_exception_is_cut():
    def talkative(logits, target):
        raise ValueError("x" * 100_000)

    assert len(refused(talkative)) < 1000


def test_a_function_of_other_arguments_is_told_how_it_will_be_called():
    assert "called as `reverse_kl_gradient(logits, target)`" in refused(lambda logits: logits)


def test_endless_recursion_is_an_exception_like_others():
    def deeper(logits, target):
        return deeper(logits, target)

    assert "RecursionError" in refused(deeper)


def test_exit_does_not_end_the_kernel():
    assert "ends the program" in refused(lambda logits, target: exit())


def test_an_endless_loop_is_stopped(monkeypatch):
    monkeypatch.setenv("DML_TEACH_CHECK_SECONDS", "0.3")

    def loop(logits, target):
        while True:
            pass

    assert "takes too long and was stopped" in refused(loop)


def test_a_flood_of_prints_is_stopped_and_shown_in_part(capsys):
    def flood(logits, target):
        while True:
            print("again")

    assert "prints far too much" in refused(flood)
    assert capsys.readouterr().out.count("again") < 12


def test_what_a_function_prints_is_shown(capsys):
    def talk(logits, target):
        print("shape", tuple(logits.shape))
        return right(logits, target)

    assert check.reverse_kl_gradient(talk)
    assert "shape (1, 3)" in capsys.readouterr().out


def test_a_huge_tensor_is_never_looked_at():
    message = refused(lambda logits, target: torch.zeros(1).expand(10**6, 10**6))
    assert "That is far too much" in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, "It returns None"),
        ("gradient", "returns a str"),
        (np.zeros((1, 3)), "returns a NumPy array of shape (1, 3)"),
        ([[0.0]], "returns a list of 1"),
        (torch.zeros(1, 3, device="meta", dtype=torch.float64), "another device, meta"),
        (torch.zeros(1, 3).to_sparse(), "a sparse tensor"),
        (torch.zeros(1, 3, dtype=torch.complex128), "float64 is wanted"),
        (torch.zeros(3, 1, dtype=torch.float64), "It stands on its side"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_result_of_another_form_is_named(answer, says):
    assert says in refused(lambda logits, target: answer)


# --- what is not the student's is left alone ---


def test_a_change_of_the_default_type_is_told_and_undone():
    def careless(logits, target):
        torch.set_default_dtype(torch.float64)
        return right(logits, target)

    assert "PyTorch's default type" in refused(careless)
    assert torch.get_default_dtype() == torch.float32


def test_global_random_numbers_are_told_and_put_back():
    before = torch.get_rng_state()
    assert "global random numbers of PyTorch" in refused(lambda logits, target: torch.rand(1, 3).double())
    assert torch.equal(torch.get_rng_state(), before)


def test_an_answer_that_remembers_is_told():
    calls = set()

    def remembers(logits, target):
        known, _ = logits.sum().item() in calls, calls.add(logits.sum().item())
        return 0 * logits if known else right(logits, target)

    assert "Called a second time" in refused(remembers)


def test_the_number_of_threads_stays():
    before = torch.get_num_threads()
    check.reverse_kl_gradient(right)
    assert torch.get_num_threads() == before


# --- the library may not do it ---


def through_a_global_alias(logits, target):
    return divergence_in_disguise(logits, target)


def through_a_module(logits, target):
    return dml_teach.losses.kl_divergence(logits, target)


def helper(*pair):
    return through_a_global_alias(*pair)


def through_a_helper(logits, target):
    return helper(logits, target)


def through_a_name_in_a_string(logits, target):
    return getattr(the_losses, "kl_" + "divergence")(logits, target)


def through_a_dictionary(logits, target):
    return HELD["kl"](logits, target)


def through_an_import_inside(logits, target):
    from dml_teach.losses import kl_divergence

    return kl_divergence(logits, target)


def caught_on_purpose(logits, target):
    with contextlib.suppress(Exception):
        HELD["kl"](logits, target)
    return right(logits, target)


def in_a_branch_that_is_never_taken(logits, target):
    if len(logits) > 10**6:
        return divergence_in_disguise(logits, target)
    return right(logits, target)


@pytest.mark.parametrize(
    "function",
    [
        through_a_global_alias,
        through_a_module,
        through_a_helper,
        through_a_name_in_a_string,
        through_a_dictionary,
        through_an_import_inside,
        caught_on_purpose,
        in_a_branch_that_is_never_taken,
        divergence_in_disguise,
    ],
)
def test_a_call_of_the_library_is_told(function):
    assert "`kl_divergence` is what this task asks you to write" in refused(function)


def test_the_library_works_again_afterwards():
    refused(through_a_dictionary)
    assert the_losses.kl_divergence(torch.zeros(1, 2), torch.zeros(1, 2)).item() == 0


def test_asking_the_checks_for_the_answer_is_told():
    def cheeky(logits, target):
        from dml_teach.classroom.tasks.ch04 import reverse_pull

        return torch.tensor(reverse_pull(logits.numpy(), target.numpy()))

    assert "It asks the checks for the answer" in refused(cheeky)


@pytest.mark.parametrize("task", by_name().values(), ids=by_name())
def test_what_may_not_be_called_exists(task: Task):
    assert all(callable(library.find(name)) for name in task.library)


# --- progress ---


def test_progress_counts_checks_and_remembers_a_pass(capsys):
    check.reverse_kl_gradient(lambda logits, target: logits)
    check.reverse_kl_gradient(right)
    check.reverse_kl_gradient(lambda logits, target: logits)
    capsys.readouterr()
    check.progress()
    printed = capsys.readouterr().out
    assert f"1 of {len(by_name())} tasks passed" in printed
    assert "04  reverse_kl_gradient              passed   3 checks" in printed
    assert "04  mended_step                      -" in printed


def test_progress_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("DML_TEACH_PROGRESS", "off")
    progress.record("mended_step", True)
    assert progress.read() == {}


def test_a_folder_that_can_not_be_written_is_no_failure(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DML_TEACH_PROGRESS", str(tmp_path / "file" / "progress.json"))
    progress.record("mended_step", True)
    assert progress.read() == {}


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", '{"mended_step": 3}', '{"mended_step": {"tries": "x"}}'])
def test_a_progress_file_that_can_not_be_read_starts_anew(content, tmp_path, monkeypatch):
    path = tmp_path / "other.json"
    path.write_text(content)
    monkeypatch.setenv("DML_TEACH_PROGRESS", str(path))
    progress.record("mended_step", True)
    assert json.loads(path.read_text()) == {"mended_step": {"tries": 1, "passed": True}}
