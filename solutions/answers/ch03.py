"""Answers to exercise 03 as they may be handed in, right and wrong."""

import torch
import torch.nn.functional as F
from dml_teach import losses
from tests.classroom.table import right, unforeseen, wrong

# --- ensemble_distillation ---


def any_distillation(
    student,
    teachers,
    labels,
    t,
    w,
    average="probabilities",
    detach=True,
    power=2,
    teacher_t=None,
    label_t=1.0,
    swap=False,
    label_weight=None,
    mean=False,
):
    teachers = teachers.detach() if detach else teachers
    tt = teacher_t or t
    said = (
        (teachers / tt).softmax(-1).mean(0)
        if average == "probabilities"
        else (teachers.mean(0) / tt).softmax(-1)
    )
    log_said = (
        said.clamp_min(1e-300).log()
        if said.dtype == torch.float64
        else said.clamp_min(1e-38).log()
    )
    own = (student / t).log_softmax(-1)
    a, b = (own, log_said) if swap else (log_said, own)
    apart = a.exp() * (a - b)
    apart = apart.mean() if mean else apart.sum(-1).mean()
    lw = 1 - w if label_weight is None else label_weight
    return (
        lw * F.cross_entropy(student / label_t, labels)
        + w * t**power * apart
    )


@right("ensemble_distillation")
def straight(*a):
    return any_distillation(*a)


@right("ensemble_distillation")
def cross_entropy_minus_entropy(
    student_logits, teacher_logits, labels, temperature, weight
):
    with torch.no_grad():
        q = torch.stack(
            [torch.softmax(z / temperature, 1) for z in teacher_logits]
        ).mean(0)
        entropy = torch.special.entr(q).sum(1)
    log_p = torch.log_softmax(student_logits / temperature, 1)
    soft = (-(q * log_p).sum(1) - entropy).mean()
    hard = -torch.log_softmax(student_logits, 1)[
        torch.arange(len(labels)), labels
    ].mean()
    return torch.lerp(hard, temperature**2 * soft, weight)


@wrong("ensemble_distillation", "You average the teachers' logits")
def of_logits(*a):
    return any_distillation(*a, average="logits")


@wrong("ensemble_distillation", "T^2 is missing")
def no_square(*a):
    return any_distillation(*a, power=0)


@wrong("ensemble_distillation", "a gradient flows into `teacher_logits`")
def attached(*a):
    return any_distillation(*a, detach=False)


@wrong("ensemble_distillation", "The divergence is the wrong way round")
def swapped(student, teachers, labels, t, w):
    return any_distillation(student, teachers, labels, t, w, swap=True)


@wrong(
    "ensemble_distillation", "The labels' part is computed at temperature T"
)
def warm_labels(student, teachers, labels, t, w):
    return any_distillation(student, teachers, labels, t, w, label_t=t)


@wrong("ensemble_distillation", "The weights are exchanged")
def exchanged(student, teachers, labels, t, w):
    one = F.cross_entropy(student, labels)
    return w * one + (1 - w) * (
        any_distillation(student, teachers, labels, t, 1.0)
    )


@wrong(
    "ensemble_distillation", "the mean of the divergences from each teacher"
)
def one_by_one(student, teachers, labels, t, w):
    own = (student / t).log_softmax(1)
    each = [
        F.kl_div(
            own,
            (z.detach() / t).log_softmax(1),
            reduction="batchmean",
            log_target=True,
        )
        for z in teachers
    ]
    return (1 - w) * F.cross_entropy(student, labels) + w * t * t * sum(
        each
    ) / len(each)


@unforeseen("ensemble_distillation", "Two things at once")
def cold_and_no_square(*a):
    return any_distillation(*a, power=0, teacher_t=1.0)


@unforeseen("ensemble_distillation", "so certain that a posterior is 0")
def logarithm_of_nothing(student, teachers, labels, t, w):
    q = (teachers.detach() / t).softmax(-1).mean(0)
    own = (student / t).log_softmax(-1)
    return (1 - w) * F.cross_entropy(student, labels) + w * t * t * (
        q * (q.log() - own)
    ).sum(-1).mean()


@unforeseen("ensemble_distillation", "The labels count in full")
def labels_in_full(*a):
    return any_distillation(*a, label_weight=1.0)


@unforeseen(
    "ensemble_distillation",
    "`distillation` is what this task asks you to write",
)
def with_the_library(student, teachers, labels, t, w):
    return losses.distillation(
        student, teachers.softmax(-1).mean(0).log(), labels, t, w
    )


@unforeseen("ensemble_distillation", "Does the teachers' average sum to 1?")
def summed_teachers(student, teachers, labels, t, w):
    q = (teachers.detach() / t).softmax(-1).sum(0)
    own = (student / t).log_softmax(-1)
    return (
        -(1 - w) * F.cross_entropy(student, labels)
        + w * t * t * (q * own).sum(-1).mean()
    )


@unforeseen("ensemble_distillation", "instead of ()")
def a_value_for_each_image(student, teachers, labels, t, w):
    return F.cross_entropy(student, labels, reduction="none")


@unforeseen(
    "ensemble_distillation", "its gradient for `student_logits` is not"
)
def half_detached(student, teachers, labels, t, w):
    rest = any_distillation(student.detach(), teachers, labels, t, w)
    supervised = (1 - w) * F.cross_entropy(student, labels)
    return supervised + rest - supervised.detach()


# --- mended_distillation_step ---


def any_step(
    student,
    teacher,
    optimizer,
    images,
    labels,
    t,
    zero=True,
    teach=False,
    learn=True,
    grad=False,
    power=2,
    steps=1,
):
    teacher.train(teach)
    student.train(learn)
    with torch.set_grad_enabled(grad):
        said = teacher(images)
    own = student(images)
    loss = (
        losses.cross_entropy(own, labels)
        + t**power * losses.kl_divergence(said, own, t).mean()
    )
    if zero:
        optimizer.zero_grad()
    loss.backward()
    for _ in range(steps):
        optimizer.step()
    return loss.item()


@right("mended_distillation_step")
def with_the_librarys_losses(*a):
    return any_step(*a)


@right("mended_distillation_step")
def by_grad(student, teacher, optimizer, images, labels, temperature):
    with torch.inference_mode():
        q = teacher.eval()(images).div(temperature).softmax(-1)
    q = q.clone()
    z = student.train()(images)
    kl = (
        (torch.xlogy(q, q) - q * (z / temperature).log_softmax(-1))
        .sum(-1)
        .mean()
    )
    loss = kl * temperature**2 + F.cross_entropy(z, labels)
    weights = list(student.parameters())
    for w, g in zip(
        weights, torch.autograd.grad(loss, weights), strict=True
    ):
        w.grad = g
    optimizer.step()
    return loss.detach()


@wrong("mended_distillation_step", "The teacher answers in train mode")
def teacher_in_train_mode(*a):
    return any_step(*a, teach=True)


@wrong("mended_distillation_step", "nobody calls zero_grad()")
def no_zero_grad(*a):
    return any_step(*a, zero=False)


@wrong("mended_distillation_step", "backward() runs into the teacher")
def into_the_teacher(*a):
    return any_step(*a, grad=True)


@wrong("mended_distillation_step", "The student learns in eval mode")
def student_in_eval_mode(*a):
    return any_step(*a, learn=False)


@wrong("mended_distillation_step", "T^2 is missing")
def step_without_square(*a):
    return any_step(*a, power=0)


@unforeseen("mended_distillation_step", "a graph that nobody needs")
def detached_too_late(student, teacher, optimizer, images, labels, t):
    said = teacher.eval()(images).detach()
    own = student.train()(images)
    loss = F.cross_entropy(own, labels) + losses.mimicry(own, said, t)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@unforeseen("mended_distillation_step", "The optimizer makes 2 steps")
def two_steps(*a):
    return any_step(*a, steps=2)


@unforeseen("mended_distillation_step", "still hangs on the graph")
def with_its_graph(student, teacher, optimizer, images, labels, t):
    with torch.no_grad():
        said = teacher.eval()(images)
    own = student.train()(images)
    loss = F.cross_entropy(own, labels) + losses.mimicry(own, said, t)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@unforeseen("mended_distillation_step", "nobody calls zero_grad()")
def zeroed_at_the_wrong_place(
    student, teacher, optimizer, images, labels, t
):
    result = any_step(
        student, teacher, optimizer, images, labels, t, zero=False
    )
    optimizer.zero_grad()
    return result


@unforeseen(
    "mended_distillation_step", "The teacher is shown something else"
)
def flipped_for_the_teacher(student, teacher, optimizer, images, labels, t):
    with torch.no_grad():
        said = teacher.eval()(images.flip(1) + 1)
    own = student.train()(images)
    loss = F.cross_entropy(own, labels) + losses.mimicry(own, said, t)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@unforeseen("mended_distillation_step", "asked 2 times")
def asks_twice(student, teacher, optimizer, images, labels, t):
    teacher.eval()
    with torch.no_grad():
        teacher(images)
    return any_step(student, teacher, optimizer, images, labels, t)
