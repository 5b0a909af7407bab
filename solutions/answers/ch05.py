"""Answers to exercise 05 as they may be handed in, right and wrong."""

from collections import Counter

import torch
import torch.nn.functional as F
from dml_teach import metrics
from tests.classroom.table import right, unforeseen, wrong

# --- agreement_beyond_chance ---


@right("agreement_beyond_chance")
def by_counting(logits):
    names = logits.argmax(-1).tolist()
    rows = []
    for a in names:
        row = []
        for b in names:
            same = sum(x == y for x, y in zip(a, b, strict=True)) / len(a)
            fa, fb = Counter(a), Counter(b)
            chance = sum(fa[c] * fb[c] for c in fa) / len(a) ** 2
            row.append(
                (same - chance) / (1 - chance)
                if chance < 1
                else float("nan")
            )
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


def any_kappa(logits, chance="both", divide=True):
    named = logits.argmax(-1)
    same = (named[:, None] == named[None]).double().mean(-1)
    often = F.one_hot(named, logits.shape[-1]).double().mean(1)
    c = {
        "both": often @ often.T,
        "even": torch.full_like(same, 1 / logits.shape[-1]),
        "own": often.square().sum(1, keepdim=True).expand_as(same),
        "none": torch.zeros_like(same),
    }[chance]
    return (same - c) / (1 - c) if divide else same - c


@right("agreement_beyond_chance")
def by_broadcasting(logits):
    return any_kappa(logits)


@wrong("agreement_beyond_chance", "That is the plain agreement")
def plain(logits):
    return any_kappa(logits, "none")


@wrong("agreement_beyond_chance", "You take 1 / C for chance")
def even_chance(logits):
    return any_kappa(logits, "even")


@wrong("agreement_beyond_chance", "the first peer's frequencies twice")
def own_chance(logits):
    return any_kappa(logits, "own")


@wrong("agreement_beyond_chance", "do not divide by 1 - chance")
def not_divided(logits):
    return any_kappa(logits, divide=False)


@wrong("agreement_beyond_chance", "nan, not 0")
def zero_for_nan(logits):
    return any_kappa(logits).nan_to_num(0.0)


@unforeseen(
    "agreement_beyond_chance", "It returns float32, and float64 is wanted"
)
def single_precision(logits):
    return any_kappa(logits).float()


@unforeseen("agreement_beyond_chance", "Each peer agrees fully with itself")
def no_diagonal(logits):
    return any_kappa(logits).fill_diagonal_(0)


@unforeseen("agreement_beyond_chance", "instead of (2, 2)")
def one_number(logits):
    return any_kappa(logits).mean()


@unforeseen("agreement_beyond_chance", "nan or infinity")
def names_over_images(logits):
    return any_kappa(logits.transpose(1, 2)) / 0


@unforeseen(
    "agreement_beyond_chance",
    "agreement` is what this task asks you to write",
)
def with_the_librarys_agreement(logits):
    often = F.one_hot(logits.argmax(-1), logits.shape[-1]).double().mean(1)
    return (metrics.agreement(logits) - often @ often.T) / (
        1 - often @ often.T
    )


@unforeseen("agreement_beyond_chance", "a single peer")
def needs_two(logits):
    if len(logits) == 1:
        return torch.zeros(1, 1, dtype=torch.float64)
    return any_kappa(logits)


# --- mended_report ---


@right("mended_report")
def by_loops(logits, labels):
    single = [
        float((z.argmax(1) == labels).float().double().mean())
        for z in logits
    ]
    p = torch.stack([torch.softmax(z.double(), 1) for z in logits]).sum(0)
    return sum(single) / len(single), float(
        (p.max(1).indices == labels).double().mean()
    )


@right("mended_report")
def in_logarithms(logits, labels):
    together = logits.log_softmax(-1).logsumexp(0)
    return [
        (z.argmax(-1) == labels).double().mean() for z in (logits, together)
    ]


def any_report(logits, labels, best=False, how="posteriors"):
    each = (logits.argmax(-1) == labels).double().mean(1)
    together = {
        "posteriors": lambda: logits.softmax(-1).mean(0),
        "logits": lambda: logits.mean(0),
        "votes": lambda: F.one_hot(logits.argmax(-1), logits.shape[-1]).sum(
            0
        ),
        "surest": lambda: logits.softmax(-1).amax(0),
        "product": lambda: logits.log_softmax(-1).sum(0),
    }[how]()
    return (each.max() if best else each.mean()).item(), (
        together.argmax(-1) == labels
    ).double().mean().item()


@wrong("mended_report", "you report the best peer")
def best_peer(*a):
    return any_report(*a, best=True)


@wrong("mended_report", "The ensemble averages logits")
def of_logits(*a):
    return any_report(*a, how="logits")


@wrong("mended_report", "The ensemble counts votes")
def votes(*a):
    return any_report(*a, how="votes")


@wrong("mended_report", "first the single network, then the ensemble")
def exchanged(*a):
    return any_report(*a)[::-1]


@unforeseen("mended_report", "Two things at once")
def nothing_mended(*a):
    return any_report(*a, best=True, how="logits")


@unforeseen("mended_report", "The ensemble averages logits")
def of_log_posteriors(*a):
    return any_report(*a, how="product")


@unforeseen("mended_report", "the surest peer")
def surest(*a):
    return any_report(*a, how="surest")


@unforeseen("mended_report", "It is to return 2 things")
def single_only(*a):
    return any_report(*a)[0]


@unforeseen("mended_report", "not per cent")
def per_cent(*a):
    return tuple(100 * x for x in any_report(*a))


@unforeseen("mended_report", "single: yours")
def median_peer(logits, labels):
    each = (logits.argmax(-1) == labels).double().mean(1)
    return each.min().item(), any_report(logits, labels)[1]
