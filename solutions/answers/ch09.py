"""Answers to exercise 09 as they may be handed in, right and wrong."""

import math
import statistics

import torch
import torch.nn.functional as F
from dml_teach import comparison, losses
from tests.classroom.table import right, unforeseen, wrong

# --- semi_supervised_loss ---


def any_semi(
    z,
    q,
    y,
    over="labelled",
    heard="all",
    detach=True,
    swap=False,
    mean=False,
    minus="none",
):
    q = q.detach() if detach else q
    a, b = z.log_softmax(1), q.log_softmax(1)
    apart = a.exp() * (a - b) if swap else b.exp() * (b - a)
    apart = apart.mean(1) if mean else apart.sum(1)
    have = y >= 0
    each = -a.gather(1, y.clamp_min(0)[:, None])[:, 0] * have
    if minus == "last":
        each = -a[torch.arange(len(y)), y]
        have = torch.ones_like(have)
    count = (
        have.sum().clamp_min(1)
        if over == "labelled"
        else len(y)
        if over == "all"
        else have.sum()
    )
    mask = {"all": torch.ones_like(have), "labelled": have, "rest": ~have}[
        heard
    ]
    return each.sum() / count + (apart * mask).sum() / mask.sum().clamp_min(
        1
    )


@right("semi_supervised_loss")
def with_ignore_index(logits, peer_logits, labels):
    some = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
    q = peer_logits.detach().log_softmax(-1)
    kl = (q.exp() * (q - logits.log_softmax(-1))).sum(-1).mean()
    return some / (labels != -1).sum().clamp(min=1) + kl


@right("semi_supervised_loss")
def with_an_if(logits, peer_logits, labels):
    q = F.softmax(peer_logits.detach(), 1)
    loss = (
        F.cross_entropy(logits, q, reduction="none")
        - torch.special.entr(q).sum(1)
    ).mean()
    chosen = labels[labels > -1]
    if len(chosen):
        loss = loss + F.cross_entropy(logits[labels > -1], chosen)
    return loss


@wrong("semi_supervised_loss", "divided by all images")
def by_all(*a):
    return any_semi(*a, over="all")


@wrong("semi_supervised_loss", "counts only where there is a label")
def labelled_only(*a):
    return any_semi(*a, heard="labelled")


@wrong("semi_supervised_loss", "as an index it names the *last* one")
def last_class(*a):
    return any_semi(*a, minus="last")


@wrong("semi_supervised_loss", "a batch without any label")
def mean_of_nothing(*a):
    return any_semi(*a, over="nothing")


@wrong("semi_supervised_loss", "a gradient flows into `peer_logits`")
def attached(*a):
    return any_semi(*a, detach=False)


@unforeseen("semi_supervised_loss", "counts only where there is no label")
def unlabelled_only(*a):
    return any_semi(*a, heard="rest")


@unforeseen("semi_supervised_loss", "Two things at once")
def by_all_and_swapped(*a):
    return any_semi(*a, over="all", swap=True)


@unforeseen("semi_supervised_loss", "It raises an error")
def plain_cross_entropy(logits, peer_logits, labels):
    return F.cross_entropy(logits, labels) + any_semi(
        logits, peer_logits, labels
    )


@unforeseen(
    "semi_supervised_loss",
    "`cross_entropy` is what this task asks you to write",
)
def with_the_library(logits, peer_logits, labels):
    return losses.cross_entropy(logits, labels) + losses.mimicry(
        logits, peer_logits
    )


@unforeseen("semi_supervised_loss", "its gradient for `logits` is not")
def labels_detached(logits, peer_logits, labels):
    own = any_semi(logits, peer_logits, labels)
    kl = any_semi(logits, peer_logits, torch.full_like(labels, -1))
    return (own - kl).detach() + kl


@unforeseen("semi_supervised_loss", "Yours is the right answer times 1/2")
def mean_of_the_two(*a):
    return any_semi(*a) / 2


# --- wrong_labels ---


@right("wrong_labels")
def by_loops(labels, classes, share, generator):
    order = torch.randperm(len(labels), generator=generator).tolist()
    found = labels.tolist()
    for i in order[: round(share * len(found))]:
        others = [c for c in range(classes) if c != found[i]]
        found[i] = others[
            int(torch.randint(len(others), (1,), generator=generator))
        ]
    return torch.tensor(found)


@right("wrong_labels")
def by_ranks(labels, classes, share, generator):
    dice = torch.rand(len(labels), generator=generator)
    chosen = dice.argsort().argsort() < round(share * len(labels))
    drawn = torch.randint(0, classes - 1, labels.shape, generator=generator)
    drawn = drawn + (drawn >= labels).long()
    return torch.where(chosen, drawn, labels)


@wrong("wrong_labels", "Some have been drawn anew and came out right")
def any_class(labels, classes, share, generator):
    found = labels.clone()
    chosen = torch.randperm(len(labels), generator=generator)[
        : round(share * len(labels))
    ]
    found[chosen] = torch.randint(
        classes, (len(chosen),), generator=generator
    )
    return (
        torch.where(
            torch.arange(len(labels)) < 20,
            by_ranks(labels, classes, share, generator),
            found,
        )
        if len(labels) < 100
        else found
    )


@wrong("wrong_labels", "It changes the global random numbers of PyTorch")
def global_chance(labels, classes, share, generator):
    found = labels.clone()
    chosen = torch.randperm(len(labels))[: round(share * len(labels))]
    found[chosen] = (found[chosen] + 1) % classes
    return found


@wrong("wrong_labels", "changes its argument `labels` in place")
def in_place(labels, classes, share, generator):
    labels.copy_(by_loops(labels, classes, share, generator))
    return labels


@wrong("wrong_labels", "Every wrong class is to be as likely as any other")
def the_next_class(labels, classes, share, generator):
    found = labels.clone()
    chosen = torch.randperm(len(labels), generator=generator)[
        : round(share * len(labels))
    ]
    found[chosen] = (found[chosen] + 1) % classes
    return found


@wrong("wrong_labels", "all stand near one end")
def the_first_ones(labels, classes, share, generator):
    found, many = labels.clone(), round(share * len(labels))
    found[:many] = (
        found[:many]
        + torch.randint(1, classes, (many,), generator=generator)
    ) % classes
    return found


@unforeseen("wrong_labels", "their number varies")
def each_its_own_dice(labels, classes, share, generator):
    if len(labels) < 500:
        return by_loops(labels, classes, share, generator)
    dice = torch.rand(len(labels), generator=generator) < share
    shift = torch.randint(1, classes, labels.shape, generator=generator)
    return torch.where(dice, (labels + shift) % classes, labels)


@unforeseen(
    "wrong_labels", "With another generator it gives the same labels"
)
def its_own_generator(labels, classes, share, generator):
    return by_loops(
        labels, classes, share, torch.Generator().manual_seed(0)
    )


@unforeseen("wrong_labels", "labels outside 0 to")
def no_modulo(labels, classes, share, generator):
    found = labels.clone()
    chosen = torch.randperm(len(labels), generator=generator)[
        : round(share * len(labels))
    ]
    found[chosen] += torch.randint(
        1, classes, (len(chosen),), generator=generator
    )
    return found


@unforeseen("wrong_labels", "Labels are int64")
def as_fractions(labels, classes, share, generator):
    return by_loops(labels, classes, share, generator).float()


@unforeseen("wrong_labels", "It is to return a tensor of 1000 labels")
def only_the_places(labels, classes, share, generator):
    return torch.randperm(len(labels), generator=generator)[
        : round(share * len(labels))
    ]


@unforeseen("wrong_labels", "Rounded to the nearest whole number")
def rounded_down(labels, classes, share, generator):
    return by_loops(
        labels, classes, int(share * len(labels)) / len(labels), generator
    )


# --- mended_comparison ---


@right("mended_comparison")
def with_statistics(mutual, alone):
    gaps = [
        (a[-1] - b[-1])
        for a, b in zip(mutual.tolist(), alone.tolist(), strict=True)
    ]
    error = (
        statistics.stdev(gaps) / math.sqrt(len(gaps))
        if len(gaps) > 1
        else math.nan
    )
    return statistics.fmean(gaps), error


@right("mended_comparison")
def with_tensors(mutual, alone):
    d = (mutual - alone)[..., -1]
    n = d.shape[0]
    variance = ((d - d.mean()) ** 2).sum() / torch.tensor(n - 1.0)
    return d.mean(), (variance / n).sqrt()


def any_comparison(
    mutual, alone, epoch="last", paired=True, correction=1, root=True
):
    pick = {
        "last": lambda r: r[:, -1],
        "best": lambda r: r.amax(1),
        "mean": lambda r: r.mean(1),
    }[epoch]
    a, b = pick(mutual), pick(alone)
    d = a - b
    if len(d) == 1:
        return d.item(), math.nan
    variance = (
        d.var(correction=correction)
        if paired
        else a.var(correction=correction) + b.var(correction=correction)
    )
    return d.mean().item(), (
        variance / (len(d) if root else 1)
    ).sqrt().item()


@wrong("mended_comparison", "each run's best epoch")
def best_epoch(*a):
    return any_comparison(*a, epoch="best")


@wrong("mended_comparison", "treat them as pairs")
def unpaired(*a):
    return any_comparison(*a, paired=False)


@wrong("mended_comparison", "it must be S - 1")
def biased(*a):
    return any_comparison(*a, correction=0)


@wrong("mended_comparison", "the standard deviation of the differences")
def spread(*a):
    return any_comparison(*a, root=False)


@unforeseen("mended_comparison", "Two things at once")
def unpaired_and_biased(*a):
    return any_comparison(*a, paired=False, correction=0)


@unforeseen("mended_comparison", "difference: yours")
def best_of_one_side(mutual, alone):
    return any_comparison(mutual.amax(1, keepdim=True), alone[:, -1:])


@unforeseen("mended_comparison", "One seed says nothing about chance")
def zero_for_one(mutual, alone):
    return tuple(
        0.0 if math.isnan(x) else x for x in any_comparison(mutual, alone)
    )


@unforeseen("mended_comparison", "mutual minus alone")
def the_other_way(mutual, alone):
    return any_comparison(alone, mutual)


@unforeseen(
    "mended_comparison", "`paired` is what this task asks you to write"
)
def compare_with_the_library(mutual, alone):
    found = comparison.paired(mutual[:, -1].tolist(), alone[:, -1].tolist())
    return found.difference, found.half_width / 1.96


@unforeseen("mended_comparison", "a single seed")
def fails_for_one(mutual, alone):
    gaps = (mutual[:, -1] - alone[:, -1]).tolist()
    return statistics.fmean(gaps), statistics.stdev(gaps) / math.sqrt(
        len(gaps)
    )
