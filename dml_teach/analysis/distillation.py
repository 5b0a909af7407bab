"""Teacher and student side by side: how sharp the teacher is, how far the student strays, how well it generalises.

Recent theory (*On the Generalization of Knowledge Distillation: An Information-Theoretic View*, arXiv:2605.13143)
connects these three. Here they are measured, not bounded: the divergence is one of predictions on given images, not
the theory's divergence of training kernels.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dml_teach import metrics
from dml_teach.analysis.flatness import DRAWS, SCALE, sharpness
from dml_teach.data.images import ImageSet
from dml_teach.evaluation import predict
from dml_teach.losses import kl_divergence


class Gap(NamedTuple):
    """How much worse a network does on new images than on those it studied; both are above 0 if it does worse.

    Attributes:
        nll: test NLL - training NLL, in nats.
        top1: training accuracy - test accuracy, a fraction.
    """

    nll: float
    top1: float


class Transfer(NamedTuple):
    """A teacher and its student, measured.

    Attributes:
        sharpness: rise of the teacher's loss on the training images under noise (`flatness.sharpness`), in nats.
        divergence: mean D_KL(teacher || student) on the training images, in nats.
        test_divergence: the same on the test images.
        teacher: the teacher's generalisation gap.
        student: the student's generalisation gap.
    """

    sharpness: float
    divergence: float
    test_divergence: float
    teacher: Gap
    student: Gap


def divergence(teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Mean D_KL(teacher || student) over the images, in nats, without the factor T^2: two (..., N, C) -> (...)."""
    return kl_divergence(teacher_logits, student_logits, temperature).mean(dim=-1)


def gap(training_logits: Tensor, training_labels: Tensor, test_logits: Tensor, test_labels: Tensor) -> Gap:
    """The generalisation gap of one network from its logits (N, C) and labels (N,) on either kind of images."""
    training, test = (training_logits, training_labels), (test_logits, test_labels)
    return Gap(float(metrics.nll(*test) - metrics.nll(*training)), float(metrics.top1(*training) - metrics.top1(*test)))


def transfer(
    teacher: nn.Module,
    student: nn.Module,
    training: ImageSet,
    test: ImageSet,
    device: torch.device,
    generator: torch.Generator,
    scale: float = SCALE,
    draws: int = DRAWS,
) -> Transfer:
    """Measure a teacher and its student on the images that the student studied and on test images, all in eval mode.

    Args:
        teacher: on `device`, as is the student.
        student: trained from the teacher.
        training: the images it was trained on.
        test: images that neither was trained on.
        device: where the networks lie.
        generator: of the noise under which the teacher's loss rises.
        scale: of that noise, relative to each parameter tensor; state it beside the result.
        draws: how many directions of noise.
    """
    of_teacher = [predict(teacher, images, device) for images in (training, test)]
    of_student = [predict(student, images, device) for images in (training, test)]
    gaps = [gap(z[0], training.labels, z[1], test.labels) for z in (of_teacher, of_student)]
    return Transfer(
        float(sharpness(teacher, training, device, generator, scale, draws)),
        float(divergence(of_teacher[0], of_student[0])),
        float(divergence(of_teacher[1], of_student[1])),
        *gaps,
    )
