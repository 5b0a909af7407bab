"""What a user types, and what comes back."""

import json
import subprocess
import sys
from functools import partial

import pytest

from dml_teach import runs
from dml_teach.cli import main
from dml_teach.data import sets
from dml_teach.data.cifar import CIFAR10, CIFAR100
from tests.data.conftest import RECORDS, contents

SMOKE = ["--recipe", "smoke", "--subset", "50", "--quiet", "--device", "cpu"]


def test_train_writes_a_run_folder_and_prints_the_test_results(tmp_path, capsys):
    arguments = ["train", "bundled", *SMOKE, "--epochs", "1", "--topology", "ring", "--peers", "small,small,small"]
    assert main([*arguments, "--out", str(tmp_path / "r"), "--order", "sequential"]) == 0
    run = runs.load(tmp_path / "r")
    assert run.config["topology"] == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert run.config["recipe"]["order"] == "sequential" and len(run.epochs) == 1 and run.test
    printed = capsys.readouterr().out
    assert "peer 2 small" in printed and "ensemble" in printed


def test_several_seeds_give_a_folder_each(tmp_path):
    arguments = ["train", "bundled", *SMOKE, "--epochs", "1", "--peers", "small", "--seeds", "2", "--seed", "7"]
    assert main([*arguments, "--out", str(tmp_path / "r")]) == 0
    assert [(run.folder.name, run.config["seed"]) for run in runs.find(tmp_path)] == [("seed-7", 7), ("seed-8", 8)]


def test_a_finished_run_can_be_a_frozen_teacher(tmp_path):
    base = ["train", "bundled", *SMOKE, "--epochs", "1", "--peers", "small"]
    assert main([*base, "--out", str(tmp_path / "teacher")]) == 0
    student = [
        *base,
        "--topology",
        "one-way",
        "--teacher",
        str(tmp_path / "teacher"),
        "--out",
        str(tmp_path / "student"),
    ]
    assert main(student) == 0
    assert [peer["frozen"] for peer in runs.load(tmp_path / "student").config["peers"]] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trian"], "train"),
        (["train"], "data"),
        (["train", "imagenet"], "bundled, cifar10, cifar100"),
        (["train", "bundled", "--peers", "resnet33"], "resnet32"),
        (["train", "bundled", "--peers", "small,,small"], "small"),
        (["train", "bundled", "--topology", "mutal"], "mutual"),
        (["train", "bundled", "--topology", "ring", "--peers", "small"], "two peers"),
        (["train", "bundled", "--order", "backwards"], "simultaneous"),
        (["train", "bundled", "--recipe", "secret"], "paper"),
        (["train", "bundled", "--epochs", "0"], "epochs"),
        (["train", "bundled", "--epochs", "many"], "epochs"),
        (["train", "bundled", "--seeds", "0"], "seeds"),
        (["train", "bundled", "--subset", "-3"], "-3"),
        (["train", "bundled", "--subset", "5000"], "5000"),
        (["train", "bundled", "--temperature", "0"], "temperature"),
        (["train", "bundled", "--learning-rate", "nan"], "learning_rate"),
        (["train", "bundled", "--device", "quantum"], "quantum"),
        (["train", "bundled", "--teacher", "nowhere"], "one-way"),
        (["train", "bundled", "--topology", "one-way", "--teacher", "nowhere"], "nowhere"),
        (["train", "cifar10", "--data", "nowhere"], "train cifar10 --download"),
        (["train", "cifar100", "--data", "nowhere"], "nowhere"),
        (["train", "bundled", "--colour", "red"], "--colour"),
        (["demo", "--seeds", "none"], "seeds"),
    ],
)
def test_wrong_input_gets_one_line_and_exit_code_2(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("dml-teach: error: ") and error.count("\n") == 1
    assert says in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["demo", "train"])
def test_an_output_folder_that_holds_other_things_is_left_alone(command, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("mine")
    arguments = ["demo"] if command == "demo" else ["train", "bundled", *SMOKE]
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_output_path_that_can_not_be_made_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["train", "bundled", *SMOKE, "--out", str(tmp_path / "file" / "run")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_doctor_tells_device_data_and_next_step(tmp_path, capsys):
    assert main(["doctor", "--data", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for words in (
        "PyTorch",
        "device",
        "resnet32",
        "2000 training and 4000 test images",
        "not found",
        "Next",
        "dml-teach demo",
    ):
        assert words in printed


def test_help_and_version(capsys):
    from dml_teach import __version__

    assert main(["--version"]) == 0 and capsys.readouterr().out.strip() == __version__
    for arguments in ([], ["--help"]):
        assert main(arguments) == 0
        assert "doctor" in capsys.readouterr().out
    assert main(["train", "--help"]) == 0
    assert "--topology" in capsys.readouterr().out


def test_python_dash_m_is_the_same_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "dml_teach", "train", "nothing"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_doctor_says_where_the_cifars_are(tmp_path, capsys):
    for archive in (CIFAR10, CIFAR100):
        (tmp_path / archive.folder).mkdir()
        for name in contents(archive):
            (tmp_path / archive.folder / name).touch()
        assert main(["doctor", "--data", str(tmp_path)]) == 0
        assert f"{archive.title:<12}  {tmp_path / archive.folder}\n" in capsys.readouterr().out


def test_trains_on_files_like_those_of_cifar10_and_stores_no_image(tmp_path, monkeypatch):
    small = CIFAR10._replace(files={split: dict.fromkeys(files, RECORDS) for split, files in CIFAR10.files.items()})
    facts = sets.FACTS["cifar10"]
    monkeypatch.setitem(sets.FACTS, "cifar10", facts._replace(load=partial(facts.load.func, small)))
    (tmp_path / small.folder).mkdir()
    for name, data in contents(small).items():
        (tmp_path / small.folder / name).write_bytes(data)
    arguments = ["train", "cifar10", *SMOKE, "--peers", "small,small", "--epochs", "1", "--data", str(tmp_path)]
    assert main([*arguments, "--out", str(tmp_path / "r")]) == 0
    run = runs.load(tmp_path / "r")
    assert (run.config["data"]["name"], run.posteriors.shape[-1], run.probe.images) == ("cifar10", 10, None)


def test_trains_on_the_real_cifar100(shared, tmp_path):
    subprocess.run([sys.executable, str(shared / "bin" / "unpack-cifar100"), str(tmp_path / "data")], check=True)
    for name, folder in [("parent", tmp_path / "data"), ("itself", tmp_path / "data" / "cifar-100-binary")]:
        arguments = ["train", "cifar100", "--data", str(folder), "--peers", "small,resnet32", "--subset", "200"]
        assert main([*arguments, "--epochs", "1", "--quiet", "--out", str(tmp_path / name)]) == 0
    run = runs.load(tmp_path / "parent")
    assert run.posteriors.shape == (1, 2, 500, 100) and run.probe.images is None
    metrics = [json.loads(line) for line in (tmp_path / "itself" / "metrics.jsonl").read_text().splitlines()]
    assert metrics[0]["total"] == run.epochs[0]["total"] and metrics[-1]["split"] == "test"
