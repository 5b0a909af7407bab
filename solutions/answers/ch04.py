"""Answers to exercise 04 as they may be handed in, right and wrong."""

import torch
import torch.nn.functional as F
from dml_teach import losses
from tests.classroom.table import right, unforeseen, wrong

# --- reverse_kl_gradient ---


@right("reverse_kl_gradient")
def by_autograd(logits, target):
    z = logits.detach().clone().requires_grad_()
    log_p = F.log_softmax(z, dim=-1)
    loss = (
        log_p.exp() * (log_p - F.log_softmax(target, dim=-1))
    ).sum() / z.shape[0]
    return torch.autograd.grad(loss, z)[0]


@right("reverse_kl_gradient")
def by_the_jacobian_row_by_row(logits, target):
    rows = []
    for z, t in zip(logits, target, strict=True):
        p = torch.softmax(z, 0)
        jacobian = torch.diag(p) - torch.outer(p, p)
        rows.append(
            jacobian @ (torch.log_softmax(z, 0) - torch.log_softmax(t, 0))
        )
    return torch.stack(rows).div(len(logits))


@right("reverse_kl_gradient")
def with_a_helper_that_has_a_name_of_the_librarys(logits, target):
    def kl_divergence(log_p, log_q):
        return (log_p.exp() * (log_p - log_q)).sum(1, keepdim=True)

    a, b = logits.log_softmax(1), target.log_softmax(1)
    return a.exp() * (a - b - kl_divergence(a, b)) / len(a)


def exact(logits, target):
    return by_the_jacobian_row_by_row(logits, target)


@wrong("reverse_kl_gradient", "That is p - q")
def the_papers_pull(logits, target):
    return (logits.softmax(1) - target.softmax(1)) / len(logits)


@wrong("reverse_kl_gradient", "It is the sum over the batch")
def no_mean_over_the_batch(logits, target):
    return exact(logits, target) * len(logits)


@wrong(
    "reverse_kl_gradient",
    "forgets that a logit which rises takes from all the others",
)
def the_product_alone(logits, target):
    p = logits.softmax(1)
    return p * (logits.log_softmax(1) - target.log_softmax(1)) / len(logits)


@wrong("reverse_kl_gradient", "a logit moves all the p of its row")
def derivative_for_p(logits, target):
    p = logits.softmax(1)
    return (
        p
        * (logits.log_softmax(1) - target.log_softmax(1) + 1)
        / len(logits)
    )


@wrong("reverse_kl_gradient", "leads uphill")
def uphill(logits, target):
    return -exact(logits, target)


@wrong("reverse_kl_gradient", "a plain exp() overflows")
def overflows(logits, target):
    p, q = (
        z.exp() / z.exp().sum(1, keepdim=True) for z in (logits, target)
    )
    gap = (p / q).log()
    return p * (gap - (p * gap).sum(1, keepdim=True)) / len(p)


@unforeseen("reverse_kl_gradient", "have changed places")
def the_other_ones_logits(logits, target):
    return exact(target, logits)


@unforeseen("reverse_kl_gradient", "An axis of length 1 is missing")
def squeezed(logits, target):
    return exact(logits, target).squeeze()


@unforeseen("reverse_kl_gradient", "changes its argument `logits` in place")
def in_place(logits, target):
    logits -= logits.max(1, keepdim=True).values
    return exact(logits, target)


@unforeseen(
    "reverse_kl_gradient", "It returns float32, and float64 is wanted"
)
def single_precision(logits, target):
    return exact(logits.float(), target.float())


@unforeseen("reverse_kl_gradient", "a logarithm to base 2")
def in_bits(logits, target):
    return exact(logits, target) / torch.log(
        torch.tensor(2.0, dtype=logits.dtype)
    )


@unforeseen("reverse_kl_gradient", "Add up one row of yours")
def softmax_over_the_batch(logits, target):
    p, q = logits.softmax(0), target.softmax(0)
    gap = p.log() - q.log()
    return p * (gap - (p * gap).sum(1, keepdim=True)) / len(p)


@unforeseen("reverse_kl_gradient", "plain exp() overflows")
def clamped(logits, target):
    return exact(logits.clamp(-50, 50), target.clamp(-50, 50))


@unforeseen(
    "reverse_kl_gradient",
    "`kl_divergence` is what this task asks you to write",
)
def the_librarys(logits, target):
    z = logits.clone().requires_grad_()
    return torch.autograd.grad(losses.kl_divergence(z, target).mean(), z)[0]


# --- mended_step ---


def any_step(
    networks,
    optimizers,
    images,
    labels,
    detach=True,
    reduction="batchmean",
    mode=True,
    swapped=False,
    zero=True,
    weight=1.0,
    joint=True,
):
    for network in networks:
        network.train(mode)
    logits = [n(images) for n in networks]
    paid = []
    for k in (0, 1):
        other = logits[1 - k].detach() if detach else logits[1 - k]
        pair = (logits[k], other)[:: -1 if swapped else 1]
        apart = F.kl_div(
            pair[0].log_softmax(1), pair[1].softmax(1), reduction="none"
        )
        apart = (
            apart.sum() / len(images)
            if reduction == "batchmean"
            else apart.mean()
        )
        paid.append(F.cross_entropy(logits[k], labels) + weight * apart)
    if zero:
        for optimizer in optimizers:
            optimizer.zero_grad()
    sum(paid).backward()
    for optimizer in optimizers:
        optimizer.step()
    return torch.stack(paid).detach()


@right("mended_step")
def with_the_library(networks, optimizers, images, labels):
    first, second = networks[0].train(), networks[1].train()
    a, b = first(images), second(images)
    loss_a = losses.cross_entropy(a, labels) + losses.mimicry(a, b)
    loss_b = losses.cross_entropy(b, labels) + losses.mimicry(b, a)
    for loss, optimizer in zip((loss_a, loss_b), optimizers, strict=True):
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
    return torch.tensor([loss_a.item(), loss_b.item()], dtype=torch.float64)


@right("mended_step")
def one_joint_loss(networks, optimizers, images, labels):
    return any_step(networks, optimizers, images, labels)


@wrong("mended_step", "The peer is not detached")
def attached(*a):
    return any_step(*a, detach=False)


@wrong("mended_step", "hardly hear each other")
def mean_over_classes(*a):
    return any_step(*a, reduction="mean")


@wrong("mended_step", "trains in eval mode")
def still_in_eval_mode(*a):
    return any_step(*a, mode=False)


@wrong("mended_step", "The divergence is the wrong way round")
def swapped(*a):
    return any_step(*a, swapped=True)


@wrong("mended_step", "nobody calls zero_grad()")
def stale(*a):
    return any_step(*a, zero=False)


@wrong("mended_step", "predicts 2 times on this batch")
def algorithm_1(networks, optimizers, images, labels):
    paid = []
    for k, optimizer in enumerate(optimizers):
        logits = [n.train()(images) for n in networks]
        loss = F.cross_entropy(logits[k], labels) + losses.mimicry(
            logits[k], logits[1 - k]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        paid.append(loss.detach())
    return torch.stack(paid)


@unforeseen("mended_step", "Two things at once. The peer is not detached")
def two_faults_left(*a):
    return any_step(*a, detach=False, reduction="mean")


@unforeseen("mended_step", "they learn from the labels alone")
def deaf(*a):
    return any_step(*a, weight=0.0)


@unforeseen("mended_step", "still hang on the graph")
def with_its_graph(networks, optimizers, images, labels):
    logits = [n.train()(images) for n in networks]
    paid = [
        F.cross_entropy(z, labels) + losses.mimicry(z, logits[1 - k])
        for k, z in enumerate(logits)
    ]
    for optimizer in optimizers:
        optimizer.zero_grad()
    sum(paid).backward()
    for optimizer in optimizers:
        optimizer.step()
    return torch.stack(paid)


@unforeseen("mended_step", "The optimizer of peer 1 makes 0 steps")
def one_never_moves(networks, optimizers, images, labels):
    return any_step(networks, optimizers[:1], images, labels)


@unforeseen("mended_step", "the *same* images")
def another_batch_for_the_peer(networks, optimizers, images, labels):
    logits = [
        n.train()(x)
        for n, x in zip(networks, (images, images + 1), strict=True)
    ]
    paid = [
        F.cross_entropy(z, labels) + losses.mimicry(z, logits[1 - k])
        for k, z in enumerate(logits)
    ]
    for optimizer, loss in zip(optimizers, paid, strict=True):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.stack(paid).detach()


@unforeseen("mended_step", "It returns None")
def returns_nothing(*a):
    any_step(*a)
