"""Teacher and student side by side."""

import math

import pytest
import torch

from dml_teach import models
from dml_teach.analysis import distillation, flatness
from dml_teach.evaluation import predict
from tests.conftest import striped

CPU = torch.device("cpu")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_divergence_is_the_mean_over_images_with_the_teacher_as_reference():
    teacher, student = (2 * torch.randn(20, 4, generator=seeded(s), dtype=torch.float64) for s in (0, 1))
    t, s = (teacher / 3).softmax(-1).tolist(), (student / 3).softmax(-1).tolist()
    rows = [sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) for p, q in zip(t, s, strict=True)]
    assert distillation.divergence(teacher, student, temperature=3).item() == pytest.approx(sum(rows) / 20)
    assert distillation.divergence(teacher, teacher).item() == 0


def test_the_gap_is_above_0_for_a_network_that_knows_only_what_it_studied():
    studied, new = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).log(), torch.tensor([[0.5, 0.5], [0.8, 0.2]]).log()
    labels = torch.tensor([0, 1])
    gap = distillation.gap(studied, labels, new, labels)
    assert gap.nll == pytest.approx(-(math.log(0.5) + math.log(0.2)) / 2 + math.log(0.9))
    assert gap.top1 == pytest.approx(0.5)


def test_a_transfer_holds_what_its_parts_measure():
    teacher, student = (models.build("small", 3, channels=1, generator=seeded(s)) for s in (0, 1))
    training, test = striped(30, 1), striped(21, 2)
    found = distillation.transfer(teacher, student, training, test, CPU, seeded(5), scale=0.3, draws=2)
    networks, sets = {"t": teacher, "s": student}, {"train": training, "test": test}
    z = {(n, d): predict(networks[n], sets[d], CPU) for n in networks for d in sets}
    assert found.sharpness == pytest.approx(flatness.sharpness(teacher, training, CPU, seeded(5), 0.3, 2).item())
    assert found.divergence == pytest.approx(distillation.divergence(z["t", "train"], z["s", "train"]).item())
    assert found.test_divergence == pytest.approx(distillation.divergence(z["t", "test"], z["s", "test"]).item())
    assert found.student == distillation.gap(z["s", "train"], training.labels, z["s", "test"], test.labels)
    assert found.teacher == distillation.gap(z["t", "train"], training.labels, z["t", "test"], test.labels)
