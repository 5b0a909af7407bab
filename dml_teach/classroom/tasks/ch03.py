"""Exercise 03, distillation: several teachers at once, and a step with three faults."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dml_teach.classroom import slow
from dml_teach.classroom.compare import Values
from dml_teach.classroom.networks import Descent, Linear, leftovers, load_optimizers
from dml_teach.classroom.slow import Array
from dml_teach.classroom.task import Case, Law, Mistake, Refused, Task

# --- ensemble_distillation ---


def distilled(
    student: Array,
    teachers: Array,
    labels: Array,
    temperature: float,
    weight: float,
    of_logits: bool = False,
    one_by_one: bool = False,
    no_square: bool = False,
    cold_teachers: bool = False,
    warm_labels: bool = False,
    swapped: bool = False,
    exchanged: bool = False,
    added: bool = False,
    over_classes: bool = False,
    first_teacher: bool = False,
    summed: bool = False,
    once: bool = False,
    crossed: bool = False,
    across: bool = False,
    loudest: bool = False,
) -> float:
    """(1 - weight) CE + weight T^2 mean_b D_KL(mean of the teachers' posteriors || student's)."""
    t = 1.0 if cold_teachers else temperature
    own = slow.log_posteriors(student, temperature)
    said = np.mean([slow.posteriors(z, t) for z in teachers[: 1 if first_teacher else None]], axis=0)
    if across:  # softmax over the teachers
        said = np.mean(np.exp(teachers / t) / np.exp(teachers / t).sum(axis=0), axis=0)
    if loudest:
        said = np.max([slow.posteriors(z, t) for z in teachers], axis=0)
        said = said / said.sum(axis=1, keepdims=True)
    if of_logits:
        said = slow.posteriors(teachers.mean(axis=0), t)
    with np.errstate(divide="ignore"):
        said = np.log(said)
    if one_by_one:
        apart = np.mean([slow.divergences(z / t, student / temperature) for z in teachers], axis=0)
    else:
        pairs = zip(own, said, strict=True)
        apart = np.array([slow.divergence(o, s) if swapped else slow.divergence(s, o) for o, s in pairs])
    if crossed:
        apart = -(np.exp(said) * own).sum(axis=1)
    supervised = slow.of_labels(student / (temperature if warm_labels else 1), labels)
    factor = (1.0 if no_square else temperature if once else temperature**2) / (student.shape[1] if over_classes else 1)
    of_labels, of_teachers = (weight, 1 - weight) if exchanged else (1.0 if added else 1 - weight, weight)
    total = of_labels * supervised.sum() + of_teachers * factor * apart.sum()
    return np.float64(total / (1 if summed else len(labels)))


def distillation_cases(rng: np.random.Generator) -> list[Case]:
    """A student, K teachers, labels, temperature, weight."""
    found = [
        Case(
            (
                slow.tensor([[0.0, 0.0, 0.0]]),
                slow.tensor([[[2.0, 0.0, 0.0]], [[0.0, 4.0, 0.0]]]),
                torch.tensor([0]),
                2.0,
                0.75,
            )
        )
    ]
    for k, b, c, t, w, says in (
        (2, 2, 3, 2.0, 0.7, ""),
        (3, 5, 4, 3.0, 0.4, ""),
        (2, 4, 7, 4.0, 0.9, ""),
        (1, 3, 4, 2.0, 0.6, "a single teacher"),
        (3, 1, 4, 2.0, 0.6, slow.ONE_IMAGE),
        (2, 3, 4, 2.0, 0.0, "weight 0, the labels alone"),
        (2, 3, 4, 2.0, 1.0, "weight 1, the teachers alone"),
        (2, 3, 4, 1.0, 0.5, "T = 1"),
    ):
        logits = (slow.draw(rng, b, c), slow.draw(rng, k, b, c, size=3.0))
        found.append(Case((*logits, slow.labels_for(rng, b, c), t, w), says))
    certain = torch.eye(4, dtype=torch.float64)[:3].expand(2, 3, 4) * 2000
    found.append(
        Case(
            (slow.draw(rng, 3, 4), certain.clone(), torch.tensor([0, 1, 2]), 2.0, 0.5),
            "teachers so certain that a posterior is 0",
        )
    )
    single = (slow.draw(rng, 3, 4, dtype=torch.float32), slow.draw(rng, 2, 3, 4, dtype=torch.float32))
    return [*found, Case((*single, slow.labels_for(rng, 3, 4), 2.0, 0.5), slow.SINGLE)]


ENSEMBLE = Task(
    name="ensemble_distillation",
    exercise="03",
    arguments=("student_logits", "teacher_logits", "labels", "temperature", "weight"),
    examinations=[
        Values(
            distillation_cases,
            distilled,
            mistakes=[
                Mistake(
                    "You average the teachers' logits. An average of opinions is one of probabilities: softmax "
                    "first, then the mean.",
                    of_logits=True,
                ),
                Mistake(
                    "You take the mean of the divergences from each teacher. Wanted is the divergence from their "
                    "mean: the same gradient, but another value (by the teachers' Jensen-Shannon divergence).",
                    one_by_one=True,
                ),
                Mistake("T^2 is missing before the divergence.", no_square=True),
                Mistake(
                    "The teachers' posteriors are not softened: teachers and student are both taken at T.",
                    cold_teachers=True,
                ),
                Mistake(
                    "The labels' part is computed at temperature T; there the student speaks at T = 1.",
                    warm_labels=True,
                ),
                Mistake("The divergence is the wrong way round: the teachers stand in front.", swapped=True),
                Mistake(
                    "The weights are exchanged: `weight` is the teachers' share, 1 - weight that of the labels.",
                    exchanged=True,
                ),
                Mistake("The labels count in full; their share is 1 - weight.", added=True),
                Mistake("The divergence is a mean over the classes too, C times too weak.", over_classes=True),
                Mistake("The factor is T; it should be T^2.", once=True),
                Mistake(
                    "That is the cross-entropy to the teachers: the same gradient, but too large by their entropy.",
                    crossed=True,
                ),
                Mistake("The softmax runs over the teachers instead of the classes.", across=True),
                Mistake("For each class you take the surest teacher; it is the mean over the teachers.", loudest=True),
                Mistake("Only the first teacher is heard.", first_teacher=True),
                Mistake("It is the sum over the batch instead of the mean.", summed=True),
            ],
            laws=[
                Law(
                    lambda answer, *_: answer > -1e-9,
                    "Both parts are never below 0; yours is. Does the teachers' average sum to 1?",
                )
            ],
            learns=("student_logits",),
            targets=("teacher_logits",),
            target_says="Teachers have finished learning: detach what they say.",
            factors={
                "the number of images": lambda s, *_: len(s),
                "the number of classes": lambda s, *_: s.shape[1],
                "the number of teachers": lambda s, q, *_: len(q),
                "T^2": lambda s, q, y, t, w: t * t,
            },
        )
    ],
    hints=(
        "Three questions: what is averaged over the teachers, at which temperature is each posterior taken, and "
        "which parts are divided by what?",
        "Softmax of each teacher at T, then the mean over the teachers, gives one distribution for each image. Only "
        "now the divergence from it.",
        "If a class is impossible to all teachers its term is 0, but 0 * ln 0 is nan: torch.special.entr or "
        "torch.xlogy knows that. The labels' part does not know T.",
    ),
    library=(
        "losses.distillation",
        "losses.kl_divergence",
        "losses.mimicry",
        "losses.mimicry_of_ensemble",
        "losses.mimicry_of_mixture",
    ),
)

# --- mended_distillation_step ---

RATE = 0.5


def taught(
    ws: Array,
    bs: Array,
    wt: Array,
    bt: Array,
    images: Array,
    labels: Array,
    temperature: float,
    stale: bool = False,
    no_square: bool = False,
    swapped: bool = False,
    over_classes: bool = False,
    labels_alone: bool = False,
    teacher_alone: bool = False,
    summed: bool = False,
    heated_labels: bool = False,
    all_times: bool = False,
    crossed: bool = False,
) -> tuple[Any, ...]:
    """The student after one step, CE + T^2 D_KL(teacher || student), from the pull on each logit."""
    own, said = images @ ws + bs, images @ wt + bt
    p, q = slow.posteriors(own, temperature), slow.posteriors(said, temperature)
    many, classes = (1 if summed else len(images)), own.shape[1]
    factor = (1.0 if no_square else temperature**2) / (classes if over_classes else 1)
    factor = 0.0 if labels_alone else factor
    apart = slow.divergences(own, said, temperature) if swapped else slow.divergences(said, own, temperature)
    pull = (p - q) / temperature
    if swapped:
        gap = slow.log_posteriors(own, temperature) - slow.log_posteriors(said, temperature)
        pull = p * (gap - (p * gap).sum(axis=1, keepdims=True)) / temperature
    labelled = 0.0 if teacher_alone else temperature**2 if all_times else 1.0
    heat = temperature if heated_labels else 1.0
    if crossed:
        apart = -(q * slow.log_posteriors(own, temperature)).sum(axis=1)
    pull = (labelled * (slow.posteriors(own, heat) - slow.one_hot(labels, classes)) / heat + factor * pull) / many
    paid = (labelled * slow.of_labels(own / heat, labels).sum() + factor * apart.sum()) / many
    extra = 0.75 if stale else 0.0
    return float(paid), ws - RATE * (images.T @ pull + extra), bs - RATE * (pull.sum(axis=0) + extra)


def on_student_and_teacher(step: Callable[..., Any]) -> Callable[..., Any]:
    """The student's function as one of weights: the teacher was left in train mode, the student in eval mode."""

    def run(ws: Tensor, bs: Tensor, wt: Tensor, bt: Tensor, images: Tensor, labels: Tensor, temperature: float) -> Any:
        student, teacher = Linear(ws, bs, training=False), Linear(wt, bt, training=True)
        optimizer = Descent(student, RATE)
        leftovers(student)
        paid = step(student, teacher, optimizer, images, labels, temperature)
        _in_their_places(student, teacher, optimizer, images)
        if not student.training:
            raise Refused("It leaves the student in eval mode.")
        if isinstance(paid, Tensor) and paid.requires_grad:
            raise Refused("The loss that it returns still hangs on the graph, which keeps its memory alive: detach it.")
        return paid, student.weight.detach(), student.bias.detach()

    return run


def _in_their_places(student: Linear, teacher: Linear, optimizer: Descent, images: Tensor) -> None:
    for who, network in (("teacher", teacher), ("student", student)):
        if len(network.seen) != 1:
            raise Refused(f"The {who} is asked {len(network.seen)} times on this batch; once is right.")
        if network.seen[0].images.shape != images.shape or not torch.equal(network.seen[0].images, images):
            raise Refused(f"The {who} is shown something else than the batch.")
    if teacher.seen[0].training:
        raise Refused(
            "The teacher answers in train mode: its dropout throws dice, and its batch norm takes the batch's "
            "statistics "
            "and goes on learning. A teacher has finished: eval mode."
        )
    if not student.seen[0].training:
        raise Refused("The student learns in eval mode, as the last evaluation has left it: call train().")
    if teacher.weight.grad is not None:
        raise Refused(
            "backward() runs into the teacher and fills its gradients: a teacher is a target, without gradient."
        )
    if teacher.seen[0].gradient:
        raise Refused(
            "The teacher's prediction records a graph that nobody needs, which costs memory: torch.no_grad()."
        )
    if optimizer.steps != 1:
        raise Refused(f"The optimizer makes {optimizer.steps} steps on this batch instead of one.")


def step_cases(rng: np.random.Generator) -> list[Case]:
    """Weights of student and teacher, a batch, a temperature."""
    found = []
    for b, d, c, t, says in (
        (2, 1, 3, 2.0, ""),
        (4, 2, 3, 3.0, ""),
        (5, 3, 7, 4.0, ""),
        (1, 2, 4, 2.0, slow.ONE_IMAGE),
        (3, 2, 4, 1.0, "T = 1"),
    ):
        weights = [slow.draw(rng, *shape, size=1.0) for shape in 2 * ((d, c), (c,))]
        found.append(Case((*weights, slow.draw(rng, b, d, size=1.0), slow.labels_for(rng, b, c), t), says))
    return found


STEP = Task(
    name="mended_distillation_step",
    exercise="03",
    arguments=("student", "teacher", "optimizer", "images", "labels", "temperature"),
    examinations=[
        Values(
            step_cases,
            taught,
            mistakes=[
                Mistake(
                    "Gradients of the step before are still there: nobody calls zero_grad() before backward().",
                    stale=True,
                ),
                Mistake("T^2 is missing before the divergence.", no_square=True),
                Mistake("The divergence is the wrong way round: the teacher stands in front.", swapped=True),
                Mistake("The divergence is a mean over the classes too, C times too weak.", over_classes=True),
                Mistake(
                    "The labels' part is computed at temperature T; there the student speaks at T = 1.",
                    heated_labels=True,
                ),
                Mistake(
                    "T^2 stands before the labels' part as well; it belongs to the divergence alone.", all_times=True
                ),
                Mistake(
                    "The loss that comes back is the cross-entropy to the teacher, too large by its entropy.",
                    crossed=True,
                ),
                Mistake("The student does not hear the teacher; it learns from the labels alone.", labels_alone=True),
                Mistake("The labels are missing; the student hears the teacher alone.", teacher_alone=True),
                Mistake("The losses are summed over the images; they are means over the batch.", summed=True),
            ],
            adapter=on_student_and_teacher,
            names=("ws", "bs", "wt", "bt", "images", "labels", "temperature"),
            parts=("loss", "weights of the student", "bias of the student"),
        )
    ],
    hints=(
        "Three faults, and the loss itself is right. Who is in which mode, who gets a gradient, and what was in the "
        "gradients before?",
        "The teacher had been trained before, so in which mode is it now? And PyTorch adds new gradients to those "
        "that are there.",
        "eval and no_grad for the one, train and zero_grad for the other. Set modes where they are needed, not where "
        "they were left.",
    ),
    library=("cohort.Cohort.step", "losses.distillation"),
    prepare=load_optimizers,
)

TASKS = (ENSEMBLE, STEP)
