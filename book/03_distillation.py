# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Distillation
#
# **A network that has finished explains what it knows to one that begins. Is a larger teacher better, is an equal one any use, and what can a teacher tell you about
# an image whose answer you have been given anyway?** Mutual learning grew out of these questions, and it is measured against their answers. So we teach properly first.
#
# | | |
# |---|---|
# | **After this chapter you can** | write the distillation loss and say what each of its three knobs does; prove where $T^2$ comes from and what it turns into at high temperature; compare teachers at equal cost; explain why a perfect teacher may have nothing to say |
# | **Time** | 40 minutes, of which half a minute is the computer's |
# | **You need** | chapter 02: temperature, $D_{KL}$ and its gradient |

# %% [markdown]
# ## Where we are going
#
# One student, three teachers: a network of the student's own kind, a larger one, and three of the student's kind that are asked together. In the **recording** below, which is a file of results that
# the book keeps, each of these was trained with six seeds. A dot is one seed: how much higher or lower the student's NLL on test images came out than that of the *same* student, from the same first
# weights, without a teacher. Left of zero is good.
#
# The diamond is the mean of the six, the bar its **95 % interval**. Other seeds would give other dots and another bar; of a hundred bars made like this, about 95 would hold the true difference. So where a bar
# holds 0, these seeds can not tell the difference from chance, which is not to say that there is none ([`comparison.paired`](../dml_teach/comparison.py), proven in [`tests/test_comparison.py`](../tests/test_comparison.py)).

# %% mystnb={"image": {"alt": "Three rows, one for each teacher: a dot for each of six seeds, their mean and its interval, of the difference in test NLL from no teacher. An equal teacher: the interval lies around zero. A larger one: all dots and the interval lie right of zero. Three equals: around zero."}}
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from dml_teach import losses, metrics, models, plots, recordings, scale
from dml_teach import topology
from dml_teach.comparison import mean_and_deviation, paired
from dml_teach.data.images import split
from dml_teach.evaluation import predict
from dml_teach.published import read as published_numbers
from dml_teach.trainer import fit, trained_network

# Small batches: a second thread would cost more than it brings.
torch.set_num_threads(1)

recorded = recordings.load("recordings/distillation.json")


def over_seeds(arm, metric):
    """A metric of an arm of the recording, a number for each seed."""
    return recordings.per_seed(recordings.find_arm(recorded, arm), metric)


def against_alone(arm, metric, factor=1.0):
    """The same, less that of the student without a teacher."""
    pairs = zip(
        over_seeds(arm, metric), over_seeds("alone-1", metric), strict=True
    )
    return [factor * (taught - alone) for taught, alone in pairs]


named = {
    "an equal": "equal",
    "a larger one": "larger",
    "three equals": "three",
}
plots.differences(
    {name: against_alone(arm, "nll") for name, arm in named.items()},
    unit="nats, test NLL",
    baseline="no teacher",
)

# %% [markdown]
# ## A teacher is a peer that has finished
#
# Learning from a **teacher** that has finished is called **distillation**; who learns is the **student**. Who learns from whom is the matrix of chapter 00: row $k$ says to whom network $k$ listens. A teacher's own row
# is empty, since it has nothing left to learn. And a student may listen to several teachers at once, to each with a share.

# %% mystnb={"image": {"alt": "Three drawings of networks as circles, with arrows from teacher to learner. One teacher: an arrow from 1 to 0. Three teachers: arrows from 1, 2 and 3 to 0. Mutual, for comparison: arrows between 0 and 1 in both directions."}}
plots.topologies(
    {
        "one teacher": topology.taught(1, 1),
        "three teachers": topology.taught(1, 3),
        "mutual, chapter 04": topology.mutual(2),
    }
)

# %% [markdown]
# ## The loss
#
# The student is asked two things: to name the class (the label), and to say what the teacher says (the whole posterior). With $q$ for the teacher's posterior and $p$ for the student's:
#
# $$L = (1 - w)\, L_C \;+\; w\, T^2 D_{KL}\bigl(q(T) \,\|\, p(T)\bigr)$$
#
# Three knobs. The **weight** $w$ sets how much of the student's attention the teacher gets. The **temperature** $T$ softens both posteriors before they are compared. And the third knob is not in the
# formula: **who** $q$ is. Lines of code first, then what each knob does.

# %%
generator = torch.Generator().manual_seed(0)
teacher_logits = 3 * torch.randn(5, 10, generator=generator)
student_logits = torch.randn(5, 10, generator=generator)
labels = torch.randint(10, (5,), generator=generator)


def distill(student, teacher, labels, temperature, weight):
    """(1 - w) cross-entropy + w T^2 KL(teacher || student)."""
    log_q = F.log_softmax(teacher.detach() / temperature, dim=-1)
    log_p = F.log_softmax(student / temperature, dim=-1)
    kl = (log_q.exp() * (log_q - log_p)).sum(dim=-1).mean()
    supervised = F.cross_entropy(student, labels)
    return (1 - weight) * supervised + weight * temperature**2 * kl


for temperature, weight in ((1, 0.5), (4, 0.9), (4, 0.0)):
    arguments = student_logits, teacher_logits, labels, temperature, weight
    by_hand, library = distill(*arguments), losses.distillation(*arguments)
    print(
        f"T = {temperature}, w = {weight}: the library's:",
        torch.allclose(by_hand, library),
    )

# %% [markdown]
# The library's is [`losses.distillation`](../dml_teach/losses.py); `test_distillation_weighs_labels_against_the_teacher` in [`tests/test_losses.py`](../tests/test_losses.py) proves it.
#
# ## What a teacher is, seen from the gradient
#
# *Predict:* at $T = 1$, one can replace label and teacher by a **single** target and train with plain cross-entropy; the gradient stays exactly the same. Which target?

# %%


def pull(loss):
    """The gradient that a loss has for the student's logits."""
    z = student_logits.clone().requires_grad_()
    loss(z).backward()
    return z.grad


w = 0.7
one_hot = F.one_hot(labels, 10).float()
q = teacher_logits.softmax(dim=-1)
target = (1 - w) * one_hot + w * q

both = pull(lambda z: losses.distillation(z, teacher_logits, labels, 1, w))
single = pull(lambda z: F.cross_entropy(z, target))
print("label and teacher = one softer label:", torch.allclose(both, single))

# %% [markdown]
# The mixture of the two (`test_distillation_at_temperature_one_pulls_like_a_single_softer_label`). That is a useful way to think: **at $T = 1$ a teacher is a better label.** It says "shirt, but one could take it for a coat", for each image anew.
#
# And what would a teacher be who knows nothing, and says 10 % for each of the ten classes whatever it sees? It has a name:

# %%
ignorant = torch.zeros_like(teacher_logits)  # equal logits: 10 % each
taught = pull(lambda z: losses.distillation(z, ignorant, labels, 1, 0.1))
smooth = pull(lambda z: losses.cross_entropy(z, labels, smoothing=0.1))
print(
    "the ignorant teacher = label smoothing:",
    torch.allclose(taught, smooth),
)

# %% [markdown]
# *Label smoothing*, a common recipe against overconfidence, is distillation from an ignorant teacher. Keep it in mind as a touchstone: what a real teacher gives *beyond* that must lie in **which** wrong classes
# it finds possible.
#
# ## The second knob: $T$
#
# Chapter 02 found that a gradient through a temperature shrinks with $1/T^2$, and that $T^2$ puts it back. So the pull stays about as strong. But it does not stay the same pull. *Predict:* as $T$ grows, softmax goes flat and all
# posteriors become alike. What is left of a comparison of two nearly flat posteriors, magnified by $T^2$?

# %%


def centred(z):
    """Logits less their mean: softmax does not notice."""
    return z - z.mean(dim=-1, keepdim=True)


gap = centred(student_logits) - centred(teacher_logits)
limit = gap.square().mean() / 2
print("    T   T^2 KL   half the mean squared distance of the logits")
for temperature in (1, 4, 16, 64):
    kl = losses.mimicry(student_logits, teacher_logits, temperature)
    print(f"{temperature:>5}{kl:>9.2f}{limit:>9.2f}")

# %% [markdown]
# A regression: **at high temperature the student copies the teacher's logits**, all of them alike, the class that the teacher finds a thousand times less likely as carefully as its favourite. At $T = 1$ it copies probabilities, and cares
# for the likely classes only. Between the two, $T$ sets how far down the teacher's list the student listens. (The proof is a Taylor series of the exponential; the test is
# `test_at_high_temperature_mimicry_is_half_the_mean_squared_distance_of_the_centred_logits`.)
#
# So whoever writes "MSE between logits" (the mean squared error) and calls it distillation has chosen $T = \infty$. It is a choice, but it is not that of the paper, whose mutual learning has $T = 1$.
#
# ## The third knob: who
#
# Now train. Four networks that never meet, all of one kind: number 0 is to be the student *without* a teacher, numbers 1 to 3 will teach. The larger network, four times the parameters and four times the work, we leave to the recording: alone it would take
# as long as all that you train here.

# %%
here = scale.current()
train, test = here.images()
training, _ = split(train, here.recipe.probe_images, here.subset)
recipe = here.recipe.with_(temperature=2.0)
folder = Path(tempfile.mkdtemp())


def train_cohort(name, peers, matrix, frozen=()):
    """Trained by the library, seed 0; the run."""
    return fit(
        peers,
        matrix,
        train,
        test,
        recipe,
        seed=0,
        out=folder / name,
        subset=here.subset,
        frozen=frozen,
        checkpoint_seconds=None,  # sooner done again than resumed
        progress=False,
    )


strangers = train_cohort(
    "alone", [here.network] * 4, topology.independent(4)
)
equals = [trained_network(strangers, k) for k in range(4)]
larger = models.build(
    here.teacher,
    train.classes,
    channels=train.channels,
    **here.teacher_options,
)


def parameters(network):
    """How many numbers a network learns."""
    return sum(weight.numel() for weight in network.parameters())


print(f"student: {parameters(equals[0]):,} parameters")
print(f"the larger one: {parameters(larger):,} parameters")

# %% [markdown]
# Teaching is a cohort in which some peers are **frozen**: they predict, in eval mode, and never change. Everything else is the trainer you know, with both losses at weight 1, as mutual learning will have them: twice the formula at
# $w = \frac12$. The student starts from the same first weights in all lessons, those of network 0, so that nothing differs but the teacher.

# %%
teachers = {"an equal": equals[1:2], "three equals": equals[1:]}
before = [w.clone() for w in equals[1].parameters()]
lessons = {
    name: train_cohort(
        name,
        [here.network, *them],
        topology.taught(1, len(them)),
        frozen=range(1, 1 + len(them)),
    )
    for name, them in teachers.items()
}
untouched = all(map(torch.equal, before, equals[1].parameters()))
print("a lesson leaves the teacher as it was:", untouched)
for name, run in lessons.items():
    print(f"{name:<14}K = {len(run.peers)}, learning: {run.learning}")

# %% [markdown]
# *Predict,* before you look, the order of the two students by their NLL on the test images. And will either be worse than the student that had no teacher at all?

# %% tags=["nbval-ignore-output"]
# not compared: digits of a training differ between processors
print(f"{'no teacher':<14}test NLL {strangers.test['nll'][0]:.3f}")
for name, run in lessons.items():
    print(f"{name:<14}test NLL {run.test['nll'][0]:.3f}")

# %% [markdown]
# One seed. The recording has six (**ours**, `python tools/record.py distillation`; its question was written down before it was run, and $T = 2$ was taken over from the demo, not tuned here). Behind each difference, paired by seed, stands ± half of its 95 % interval.

# %%


def row(name, arm):
    """Accuracy and NLL of an arm, and how they differ from no teacher."""
    cells = f"{name:<16}"
    for metric, factor, digits in (("top1", 100, 2), ("nll", 1, 3)):
        mean, _ = mean_and_deviation(over_seeds(arm, metric))
        cells += f"{factor * mean:>9.{digits}f}"
        if arm != "alone-1":
            found = paired(
                against_alone(arm, metric, factor), [0] * seeds_recorded
            )
            change = f"{found.difference:+.{digits}f}"
            cells += f" ({change} ± {found.half_width:.{digits}f})"
        else:
            cells += " " * (11 + 2 * digits)
    return cells


seeds_recorded = len(recorded["seeds"])
print(f"{seeds_recorded} seeds       accuracy %                NLL")
print(row("no teacher", "alone-1"))
for name, arm in named.items():
    print(row(name, arm))

# %% [markdown]
# In accuracy no teacher makes a difference that six seeds can show: every interval holds 0. In NLL one does, and it is the wrong way round. The **larger** teacher makes its student clearly worse: in the picture at the top every one of its dots lies right of zero. The equal one and the three leave it where it was. Yet
# the larger network is itself, on average, the more accurate one, as a table further down will show. So a teacher is not better because it is larger, and not because its accuracy is higher. What is it that a teacher gives?
#
# ## What can a teacher say about an image it knows by heart?
#
# The student hears its teachers on *training* images, and these the teachers have studied until they made hardly a mistake. *Predict:* how sure is a teacher there, and how sure on images that nobody has studied? (The entropy of a
# posterior is 0 for certainty, and 2.30 nats for ten classes alike.)

# %%
cpu = torch.device("cpu")


def doubt(networks, images):
    """Mean entropy of the networks' averaged posterior, in nats."""
    logits = [predict(network, images, cpu) for network in networks]
    return metrics.entropy(metrics.ensemble(torch.stack(logits))).item()


for name, them in teachers.items():
    studied, new = doubt(them, training), doubt(them, test)
    print(f"{name:<14}doubts less than half as much: {studied < new / 2}")
beginner = models.build(
    here.network, train.classes, channels=train.channels
)
print(f"a beginner doubts: {doubt([beginner], training):.1f} nats")

# %% [markdown]
# A teacher that has learned its images by heart says about each of them: *it is a shirt, and there is little more to tell*. That is close to the label again, with the same certainty that makes a network's NLL high in the first place. What
# chapter 02 found in a posterior, the resemblances, is in the network; but it is hardly spoken where the student listens.
#
# That may be why a frozen teacher disappoints here. It does not explain everything, such as why the *larger* teacher does most harm. Part of it may be arithmetic: two losses at weight 1 pull a student to its training images twice as hard. The task for yourself at the end is the
# control experiment.
#
# Now put a network in the teacher's place that is *not* finished. It is as ignorant as the student, and it learns alongside. In the first epoch it has nothing to say; but while it learns it doubts, and its doubts are about the images that are being studied right now. That is mutual learning, and the
# recording has it at the cost of the others.
#
# ## At equal cost
#
# A comparison of teachers is not fair unless it counts what the teachers cost. Count in trainings of the student's network: a step of training is about three forward passes (one forward, two backward), a frozen teacher's opinion is one.


# %%
def forward_cost(network):
    """Multiplications and additions for one image."""
    image = torch.zeros(1, train.channels, *train.images.shape[2:])
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        network(image)
    return counted.get_total_flops()


ratio = forward_cost(larger) / forward_cost(equals[0])
cost = {
    "alone-1": 1.0,
    "equal": 1 + 1 + 1 / 3,
    "larger": ratio + 1 + ratio / 3,
    "three": 3 + 1 + 3 / 3,
    "mutual": 4.0,
}
print(f"the larger network costs {ratio:.1f} times the student's")

# %%
print("                cost  networks  accuracy %    NLL")
for name, arm in {
    "no teacher": "alone-1",
    **named,
    "four, mutual": "mutual",
}.items():
    top1, nll = (
        mean_and_deviation(over_seeds(arm, metric))[0]
        for metric in ("top1", "nll")
    )
    networks = 4 if arm == "mutual" else 1
    print(
        f"{name:<16}{cost[arm]:>4.1f}{networks:>8}{100 * top1:>13.2f}{nll:>10.3f}"
    )
for name, arm in {"larger": "large", "average of 3": "alone-3"}.items():
    metric = (
        ("top1", "nll")
        if arm == "large"
        else ("ensemble_top1", "ensemble_nll")
    )
    top1, nll = (mean_and_deviation(over_seeds(arm, m))[0] for m in metric)
    print(f"the teacher itself, {name:<14}{100 * top1:>8.2f}{nll:>10.3f}")

# %% [markdown]
# (The teacher of the student "an equal" is a network like that of the first line, without a teacher.) Four networks that teach each other, here at $T = 2$ like the students, cost less than a lesson from three equals, or from
# a larger one. All four of them come out of it, and their mean NLL is below that of each kind of student. Paired by seed:

# %%
for method, baseline in (("mutual", "three"), ("mutual", "alone-1")):
    for metric, factor, unit in (
        ("top1", 100, "points"),
        ("nll", 1, "nats"),
    ):
        found = paired(
            *(
                [factor * value for value in over_seeds(arm, metric)]
                for arm in (method, baseline)
            )
        )
        print(
            f"{method} less {baseline:<9}",
            f"{found.difference:+.3f} ± {found.half_width:.3f} {unit}",
        )

# %% [markdown]
# The NLL is settled. In accuracy the four gain a little against no teacher, and nothing that can be told from chance against the student of three; and where one compares this often, one interval that just misses 0 is no discovery. ([Chapter 04](04_two_peers.ipynb) has *two* networks, twelve seeds, and no clear gain in accuracy.)
#
# The last line of the table deserves a look too. Three networks that never met, asked together, have the best accuracy and the best NLL of all. Nobody was taught anything. But they must be asked together for ever.
#
# ## What the paper says, and what others do
#
# The paper compares with distillation too. On CIFAR-100 a ResNet-32 reaches 68.99 % alone; taught by a finished WRN-28-10, which has more than seventy times its parameters, 69.48 %; together with a WRN-28-10 that is learning, 70.73 % (**paper**, one value each). And on Market-1501, where the task is to find people again,
# a MobileNet that is taught by an *equal* one ends below the one that had no teacher: 45.16 against 46.07 (**paper**). The score there is the mAP, in percent; chapter 11 explains it, and until then it is enough that more is better.

# %%
rows = [n for n in published_numbers() if n.table == "distillation"]
print(
    "tier    data         teacher + student         alone   taught   gain"
)
for pair in dict.fromkeys((n.tier, n.data, n.networks) for n in rows):
    value = {
        n.setting: float(n.value)
        for n in rows
        if (n.tier, n.data, n.networks) == pair and n.of == "net 2"
    }
    alone, taught = value["independent"], value["distilled"]
    print(
        f"{pair[0]:<8}{pair[1]:<13}{pair[2]:<24}",
        f"{alone:>6.2f}{taught:>9.2f}{taught - alone:>+7.2f}",
    )

# %% [markdown]
# Look at the last line. A carefully tuned distillation of the *same* student on the *same* data, if from another teacher, gains 1.94 points (**others**), four times as much as the paper's. So the paper's distillation is probably a weak one: it does not say which temperature or weight it took. Whoever beats a baseline should first have tried to make it good. Ours is not tuned
# either: one temperature, one weight, fixed beforehand. What our table says is what *these* settings give on 500 images, no more.
#
# ## What goes wrong
#
# The tests that notice are in [`tests/test_losses.py`](../tests/test_losses.py) and [`tests/test_cohort.py`](../tests/test_cohort.py).
#
# - *The teacher is left in training mode*: its batch norm takes the student's batches as its own, and its opinion changes under way.
#   `test_a_frozen_teacher_is_left_untouched_in_eval_mode_and_reports_no_loss`
# - $T^2$ *forgotten*: at $T = 4$ the teacher has a sixteenth of its voice.
#   `test_gradient_of_mimicry_is_temperature_times_own_minus_peer_posterior_over_the_batch`
# - *Only one of the two posteriors softened*: student and teacher are compared in two different currencies.
#   `test_mimicry_is_the_batch_mean_of_kl_from_the_peer_times_temperature_squared`
# - *MSE between logits, called distillation*: it is, at infinite temperature; seen in the table of the second knob.
# - *A teacher that starts from the student's own weights*: "an equal teacher" is the student itself, later; seen by you, when you set the seeds.
# - *The teachers' cost not counted*: three trainings look like a free gift; seen in a column of costs.
#
# ## Summary
#
# - A teacher is a peer that has finished: frozen, with an empty row in the matrix of who learns from whom.
# - At $T = 1$, label and teacher together are one softer label. An ignorant teacher is label smoothing.
# - $T$ sets how far down the teacher's list one listens; with $T^2$, at high temperature, the student copies logits.
# - On images it knows by heart a teacher doubts far less than elsewhere, and says little more than the label.
# - Here no finished teacher made its student clearly better, and the larger one made it clearly worse in NLL. Four that learn together did better for less.
# - The paper's distillation is weaker than a tuned one. Compare with a baseline that somebody has tried to make good.
#
# ## Recall
#
# 1. Which single target gives the same gradient as label and teacher together, at $T = 1$ and weight $w$? Why does that fail at $T = 4$?
# 2. What does $T^2 D_{KL}$ turn into as $T$ grows, and which classes does the student then care about?
# 3. A larger network is more accurate than one of the student's kind, and yet its student came out worse in NLL. Which facts would you want to know before you choose a teacher?
# 4. Why is the teacher's entropy on the training images more telling than its test accuracy?
# 5. A paper's new method beats distillation by a point. Name two questions about the distillation.
#
# **In class.** [Exercise 03](../exercises/ex_03_distillation.ipynb) has tasks on this chapter for 40 minutes, with checks that tell at once what is right and what is not yet.
#
# **By yourself.** *The control experiment.* Two losses at weight 1 pull twice as hard as one. Train the student without a teacher but with `recipe.with_(label_weight=2.0)`, and with a teacher at weights 1/2 and 1/2 (`label_weight=0.5, mimicry_weight=0.5`), with three seeds each. How much of the
# change in NLL is the teacher's, and how much is mere force? Say what you expect before you run it.
#
# In [chapter 04](04_two_peers.ipynb) nobody is finished. Two networks start from nothing, and each becomes the other's teacher.
