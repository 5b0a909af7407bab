"""The agreement explorer as Python sees it: what it stores, what can be chosen, and the message in its place."""

import json
import subprocess
import sys

import pytest
import torch
import traitlets
from safetensors.torch import save_file

from dml_teach import runs
from dml_teach.errors import RunError
from dml_teach.widgets import AgreementExplorer, packing
from tests.widgets.conftest import opinions
from tools.notebooks import BOOK

RECORDED = BOOK / "recordings" / "agreement"


def test_it_shows_the_last_epoch_and_the_most_disputed_image(make_run):
    posteriors = torch.full((2, 2, 5, 3), 1 / 3)
    posteriors[1, 0, 3], posteriors[1, 1, 3] = torch.eye(3)[0], torch.eye(3)[2]
    explorer = AgreementExplorer(make_run(posteriors=posteriors))
    assert (explorer.epoch, explorer.image, explorer.peer, explorer.message) == (2, 3, 0, "")


def test_a_path_a_text_and_a_loaded_run_are_all_taken(make_run):
    folder = make_run()
    states = [
        AgreementExplorer(source).get_state(["about", "posteriors"])
        for source in (folder, str(folder), runs.load(folder))
    ]
    assert states[0] == states[1] == states[2]


def test_the_stored_bytes_are_those_of_the_run(make_run):
    run = runs.load(make_run())
    explorer = AgreementExplorer(run)
    assert explorer.posteriors == run.posteriors.numpy().tobytes()
    assert explorer.pixels == run.probe.images.permute(0, 2, 3, 1).contiguous().numpy().tobytes()


def test_the_text_form_is_the_same_every_time(make_run):
    make_run("alone"), make_run("together")
    folder = make_run().parent
    texts = {repr(AgreementExplorer(folder / "alone", folder / "together")) for _ in range(2)}
    assert texts == {"AgreementExplorer: alone, 3 peers and together, 3 peers, 7 images."}


def test_without_pixels_there_are_names_and_it_is_said(make_run):
    explorer = AgreementExplorer(make_run(pixels=False, hashes=[f"{i}abcdef0123" for i in range(7)]))
    assert explorer.pixels == b"" and explorer.about["pixels"] is None
    assert explorer.about["hashes"][2] == "2abcdef0"
    assert "names in place of pictures" in explorer.about["note"]


@pytest.mark.parametrize(("trait", "good", "bad"), [("epoch", 2, 4), ("epoch", 1, 0), ("image", 6, 7), ("peer", 2, -1)])
def test_a_choice_must_be_there(make_run, trait, good, bad):
    explorer = AgreementExplorer(make_run())
    setattr(explorer, trait, good)
    assert getattr(explorer, trait) == good
    with pytest.raises(traitlets.TraitError, match=f"{trait} must lie between"):
        setattr(explorer, trait, bad)


def test_what_is_left_out_is_said_and_the_nearest_that_is_stored_is_shown(make_run, monkeypatch):
    monkeypatch.setattr(packing, "LEAST_EPOCHS", 3)
    monkeypatch.setattr(packing.thin, "__defaults__", (2 * 3 * 3 * 5 * 4,))
    explorer = AgreementExplorer(make_run(posteriors=opinions(epochs=9, images=20)))
    about = explorer.about
    assert about["runs"][0]["epochs"] == [1, 5, 9] and len(about["labels"]) == 5
    assert about["note"].startswith("Shown: 3 of 9 epochs, 5 of 20 images, probabilities in half precision.")
    explorer.epoch, explorer.image = 6, 9
    assert (explorer.epoch, explorer.image) == (5, 8)
    assert explorer.image in about["numbers"]


def test_a_frozen_teacher_is_shown_and_left_out_of_averages(make_run):
    explorer = AgreementExplorer(make_run(frozen=[1]))
    assert explorer.about["runs"][0]["learning"] == [0, 2] and explorer.about["runs"][0]["shape"][1] == 3


def test_runs_of_one_name_are_told_apart(make_run):
    folder = make_run()
    assert [one["name"] for one in AgreementExplorer(folder, folder).about["runs"]] == ["run (1)", "run (2)"]
    named = AgreementExplorer(folder, folder, names=("one", "other"))
    assert [one["name"] for one in named.about["runs"]] == ["one", "other"]


# --- a message in place of the widget ---


def no_epoch(folder):
    (folder / "metrics.jsonl").write_text("")


def torn(folder):
    path = folder / "posteriors.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def of_another_run(folder):
    save_file({"posteriors": opinions(images=4)}, folder / "posteriors.safetensors")


def without_posteriors(folder):
    save_file({"other": torch.zeros(1)}, folder / "posteriors.safetensors")


def diverged(folder):
    save_file({"posteriors": opinions() * float("nan")}, folder / "posteriors.safetensors")


def without_classes(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["data"]
    (folder / "config.json").write_text(json.dumps(config))


def probe_gone(folder):
    (folder / "probe.safetensors").unlink()


def no_folder(folder):
    (folder / "config.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_epoch, "holds no finished epoch"),
        (torn, "posteriors.safetensors can not be read"),
        (of_another_run, "it belongs to another run"),
        (without_posteriors, "holds no posteriors"),
        (diverged, "no probabilities; the run has diverged"),
        (without_classes, "lacks 'data'"),
        (probe_gone, "probe.safetensors can not be read"),
        (no_folder, "is not a run folder"),
    ],
)
def test_a_wrong_run_gives_a_message_in_place_of_the_widget(make_run, spoil, said):
    folder = make_run()
    spoil(folder)
    explorer = AgreementExplorer(folder)
    assert said in explorer.message and "\n" not in explorer.message
    assert repr(explorer) == f"AgreementExplorer: nothing to show. {explorer.message}"
    assert explorer.posteriors == b""


def test_something_else_than_a_run_gives_a_message():
    assert "int is no run" in AgreementExplorer(3).message
    assert "is not a run folder" in AgreementExplorer(BOOK / "recordings" / "demo.json").message


def test_runs_on_other_images_are_not_compared(make_run):
    other = make_run("other", hashes=[f"f{i}" * 8 for i in range(7)])
    assert "was not shown the same probe images" in AgreementExplorer(make_run(), other).message


def test_a_run_killed_between_its_two_files_is_shown_as_far_as_both_go(make_run):
    folder = make_run()
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:2]))
    assert AgreementExplorer(folder).about["runs"][0]["epochs"] == [1, 2]


def test_a_wrong_number_of_names_is_refused_by_a_message(make_run):
    assert "2 names for 1 runs" in AgreementExplorer(make_run(), names=("a", "b")).message


def test_a_message_can_still_be_asked_for_its_epoch():
    explorer = AgreementExplorer("nowhere")
    explorer.epoch = 5
    assert explorer.epoch == 5


def test_reading_raises_what_the_message_says(make_run):
    from dml_teach.widgets.agreement import _read

    with pytest.raises(RunError, match="is not a run folder"):
        _read(make_run().parent)


@pytest.mark.parametrize("heavy", ["anywidget", "ipywidgets"])
def test_importing_the_package_does_not_load_jupyter(heavy):
    program = f"import sys, dml_teach; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
