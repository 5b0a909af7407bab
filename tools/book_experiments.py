"""The experiments behind the book's recordings: their questions, stated before they are run, methods and settings.

`record.py` runs them; the site counts what they cost.
"""

from typing import NamedTuple

from dml_teach.experiments import Arm, Experiment
from dml_teach.recipes import CLASSROOM, LAPTOP, RETRIEVAL
from dml_teach.reproduce import measures

AGREEMENT = Experiment(
    name="agreement",
    question="How do the posteriors of four peers on the same images differ, and how does mutual learning change that?",
    data="bundled",
    recipe=CLASSROOM,
    arms=(Arm("independent", ("small",) * 4), Arm("mutual", ("small",) * 4, "mutual")),
    subset=500,
)

COHORT_SIZE = Experiment(
    name="cohort_size",
    question=(
        "Accuracy and NLL of a single network and of the ensemble against the number of peers K, mutual against"
        " independent; and at K = 5 the paper's mean over the peers against the sum in its code and against DML_e,"
        " whose gradient is that of the mean. Paired by seed, 95 % intervals, whatever they show."
    ),
    data="cifar100",
    recipe=CLASSROOM.with_(name="cohort_size", epochs=40, learning_rate=0.1, probe_images=500),
    arms=(
        Arm("independent", ("small",) * 5, every_size=True),
        *(Arm(f"mutual-{k}", ("small",) * k, "mutual") for k in (2, 3, 4, 5)),
        Arm("summed-5", ("small",) * 5, "mutual", {"mimicry": "summed"}),
        Arm("dml_e-5", ("small",) * 5, "mutual", {"mimicry": "ensemble"}),
    ),
    subset=2000,
)

LABEL_NOISE = Experiment(
    name="label_noise",
    question=(
        "40 % of the training labels are replaced by another class: what do two and four peers gain by teaching each"
        " other, in accuracy and NLL, and how much of the wrong labels do they learn by heart? The settings are those"
        " of cohort_size. Paired by seed, 95 % intervals, whatever they show."
    ),
    data="cifar100",
    recipe=CLASSROOM.with_(name="label_noise", epochs=40, learning_rate=0.1, probe_images=500, label_noise=0.4),
    arms=(
        Arm("independent", ("small",) * 4, every_size=True),
        *(Arm(f"mutual-{k}", ("small",) * k, "mutual") for k in (2, 4)),
    ),
    subset=2000,
)

LABEL_NOISE_FASHION = Experiment(
    name="label_noise_fashion",
    question=(
        "The same question as label_noise on images that small networks do learn: 500 of Fashion-MNIST, 40 % of the"
        " labels wrong. One seed, 300, had been seen: +3.6 points for two peers, +2.6 for four. Paired by seed, 95 %"
        " intervals, whatever they show."
    ),
    data="bundled",
    recipe=CLASSROOM.with_(name="label_noise_fashion", label_noise=0.4),
    arms=LABEL_NOISE.arms,
    subset=500,
)

FEW_LABELS = Experiment(
    name="few_labels",
    question=(
        "5 000 images, a tenth of them with their labels: networks that learn from those 500 labels alone, against two"
        " that learn from the same labels and from each other on all images, and against two that have all the labels."
        " With batches of 25, two or three labels in each, and the rate .1 networks alone had been seen not to learn"
        " (2 %), so batches are larger here and the rate lower. Paired by seed, 95 % intervals, whatever they show."
    ),
    data="cifar100",
    recipe=CLASSROOM.with_(name="few_labels", epochs=60, batch_size=100, probe_images=500, labelled=0.1),
    arms=(
        Arm("independent", ("small",) * 2),
        Arm("mutual", ("small",) * 2, "mutual"),
        Arm("all-labels", ("small",) * 2, changes={"labelled": 1.0}),
    ),
    subset=5000,
)

FEW_LABELS_FASHION = Experiment(
    name="few_labels_fashion",
    question=(
        "The same question as few_labels on 1 600 images of Fashion-MNIST, 80 of them with a label. With 1 000 images,"
        " 50 labels and more epochs one seed, 300, had been seen: -2.4 points. Paired by seed, 95 % intervals, whatever"
        " they show."
    ),
    data="bundled",
    recipe=CLASSROOM.with_(name="few_labels_fashion", epochs=12, labelled=0.05),
    arms=FEW_LABELS.arms,
    subset=1600,
)

NARROW, WIDE = {"width": 4}, {"width": 32}
UNEQUAL = Experiment(
    name="unequal",
    question=(
        "A wide network (width 32) beside a narrow one (width 4) that does not fit its images: what does each gain or"
        " lose by the other, and what if both listen less, or only the narrow one listens? Against each alone and"
        " against pairs of equals. Two seeds, 100 and 101, had been seen. Paired by seed, 95 % intervals, whatever they"
        " show."
    ),
    data="bundled",
    recipe=CLASSROOM.with_(name="unequal"),
    arms=(
        Arm("wide", ("small",) * 2, options=WIDE),
        Arm("narrow", ("small",) * 2, options=NARROW),
        Arm("wide-wide", ("small",) * 2, "mutual", options=WIDE),
        Arm("narrow-narrow", ("small",) * 2, "mutual", options=NARROW),
        Arm("wide-narrow", ("small",) * 2, "mutual", options=(WIDE, NARROW)),
        Arm("quarter", ("small",) * 2, "mutual", {"mimicry_weight": 0.25}, options=(WIDE, NARROW)),
        Arm("one-way", ("small",) * 2, ((0.0, 0.0), (1.0, 0.0)), options=(WIDE, NARROW)),
    ),
    subset=500,
)

TINY = {"width": 1}
WEAK_PEER = Experiment(
    name="weak_peer",
    question=(
        "A wide network (width 32) that has enough images to do well beside one of width 1, which can not: what does"
        " the wide one lose, against being alone, and what if its peer is less weak, if both listen less, or if only"
        " the weak one listens? Two seeds, 200 and 201, had been seen of the first four arms. Paired by seed, 95 %"
        " intervals, whatever they show."
    ),
    data="bundled",
    recipe=CLASSROOM.with_(name="weak_peer", epochs=12),
    arms=(
        Arm("independent", ("small",) * 2, options=(WIDE, TINY)),
        Arm("mutual", ("small",) * 2, "mutual", options=(WIDE, TINY)),
        Arm("equal", ("small",) * 2, "mutual", options=WIDE),
        Arm("less-weak", ("small",) * 2, "mutual", options=(WIDE, NARROW)),
        Arm("quarter", ("small",) * 2, "mutual", {"mimicry_weight": 0.25}, options=(WIDE, TINY)),
        Arm("one-way", ("small",) * 2, ((0.0, 0.0), (1.0, 0.0)), options=(WIDE, TINY)),
    ),
    subset=1600,
)

THIRD = 1 / 3
NOBODY = (0.0,) * 5
"""The row of a teacher, who learns from nobody."""

DISTILLATION = Experiment(
    name="distillation",
    question=(
        "Which teacher helps a small network: an equal one, a larger one, or three equals as an ensemble? And at the"
        " training cost of four networks, how does a student of three compare with four that teach each other? All"
        " arms take both losses with weight 1, at one temperature. Paired by seed: the student starts from the same"
        " weights in every arm, and no teacher started from them. 95 % intervals, whatever they show."
    ),
    data="bundled",
    recipe=CLASSROOM.with_(name="distillation", temperature=2.0),
    arms=(
        Arm("alone", ("small",) * 4, every_size=True),
        Arm("large", ("small",), options={"width": 32}),
        Arm("equal", ("small",), ((0.0, 0.0, 1.0, 0.0, 0.0), *(NOBODY,) * 4), teachers="alone"),
        Arm("larger", ("small",), ((0.0, 1.0), (0.0, 0.0)), teachers="large"),
        Arm("three", ("small",), ((0.0, 0.0, THIRD, THIRD, THIRD), *(NOBODY,) * 4), teachers="alone"),
        Arm("mutual", ("small",) * 4, "mutual"),
    ),
    subset=500,
)

FROM_THE_SECOND = ((0.0, 1.0), (0.0, 0.0))
"""A student, and its teacher: the second network of a pair, which did not start from the student's weights."""

WHY = Experiment(
    name="why",
    question=(
        "What goes with the lower NLL of networks that teach each other: more doubt, flatter minima, features that"
        " match? Against networks that doubt more without a peer (smoothed labels, labels of less weight), networks"
        " that match features besides or instead, and students of a finished network, which was trained alone, with a"
        " peer, or with smoothed labels. On seeds 100 and 101 the smoothing was chosen, as the two of .01, .02, .05 and"
        " .1 between which mutual learning's doubt on training images should lie, and the weight, for the same reason,"
        " between .5 and 1; the other pairs had been seen there, the students nowhere. Some of it was seen on seed 100"
        " alone, and feature weights of .1 and a label weight of 2 were looked at too. Paired by seed, 95 % intervals,"
        " whatever they show."
    ),
    data="bundled",
    recipe=CLASSROOM.with_(name="why"),
    arms=(
        Arm("independent", ("small",) * 2),
        Arm("mutual", ("small",) * 2, "mutual"),
        Arm("smoothed", ("small",) * 2, changes={"label_smoothing": 0.02}),
        Arm("smoothed-less", ("small",) * 2, changes={"label_smoothing": 0.01}),
        Arm("lighter", ("small",) * 2, changes={"label_weight": 0.75}),
        Arm("features", ("small",) * 2, "mutual", {"mimicry_weight": 0.0, "feature_weight": 1.0}),
        Arm("both", ("small",) * 2, "mutual", {"feature_weight": 1.0}),
        Arm("taught", ("small",), FROM_THE_SECOND, teachers="independent", teaching=(1,)),
        Arm("taught-T4", ("small",), FROM_THE_SECOND, {"temperature": 4.0}, teachers="independent", teaching=(1,)),
        Arm("taught-by-mutual", ("small",), FROM_THE_SECOND, teachers="mutual", teaching=(1,)),
        Arm("taught-by-smoothed", ("small",), FROM_THE_SECOND, teachers="smoothed", teaching=(1,)),
    ),
    subset=500,
)

RESNET32 = Experiment(
    name="resnet32",
    question=(
        "The paper's smallest pair at a laptop's size: two ResNet-32 on 10 000 images of CIFAR-100, 15 epochs."
        " One seed: it shows the order of magnitude, and can not tell mutual from independent learning."
    ),
    data="cifar100",
    recipe=LAPTOP,
    arms=(Arm("independent", ("resnet32",) * 2), Arm("mutual", ("resnet32",) * 2, "mutual")),
    subset=10_000,
)

FITTED = Experiment(
    name="fitted",
    question=(
        "Two ResNet-32 on 5 000 images of CIFAR-100 without augmentation, fifty epochs, so that mutual networks too"
        " come to fit their data: alone, teaching each other (T = 1), and one distilled from a trained ResNet-56"
        " (T = 4, both weights 1, fixed beforehand). Training accuracy is recorded beside the result. At thirty epochs"
        " two seeds, 0 and 1, had been seen: +3.0 and -2.2 points. Paired by seed, 95 % intervals, whatever they show."
    ),
    data="cifar100",
    recipe=LAPTOP.with_(name="fitted", epochs=50, augment=False),
    arms=(
        Arm("independent", ("resnet32",) * 2),
        Arm("mutual", ("resnet32",) * 2, "mutual"),
        Arm("resnet56", ("resnet56",)),
        Arm("distilled", ("resnet32",), ((0.0, 1.0), (0.0, 0.0)), {"temperature": 4.0}, teachers="resnet56"),
    ),
    subset=5000,
)

FITTED_AUGMENTED = Experiment(
    name="fitted_augmented",
    question=(
        "The first two arms of fitted with the images shifted and flipped: do networks fit them still, and is what a"
        " peer changes the same? Training accuracy is recorded beside the result. One seed, whatever it shows."
    ),
    data="cifar100",
    recipe=FITTED.recipe.with_(name="fitted_augmented", augment=True),
    arms=FITTED.arms[:2],
    subset=5000,
)

MIXED = Experiment(
    name="mixed",
    question=(
        "The paper's pair of unequal networks at a laptop's size: a MobileNet and a ResNet-32 on 10 000 images of"
        " CIFAR-100, 15 epochs. Which of the two gains, which loses? Paired by seed, 95 % intervals, whatever they"
        " show."
    ),
    data="cifar100",
    recipe=LAPTOP.with_(name="mixed"),
    arms=(
        Arm("independent", ("mobilenet", "resnet32")),
        Arm("mutual", ("mobilenet", "resnet32"), "mutual"),
    ),
    subset=10_000,
)

WHOLE = Experiment(
    name="whole",
    question=(
        "Two ResNet-32 on all images of CIFAR-100 but those of the probe, 15 epochs: the paper's data for a"
        " thirteenth of its time. One seed: it shows the order of magnitude, and can not tell mutual from independent"
        " learning."
    ),
    data="cifar100",
    recipe=LAPTOP.with_(name="whole"),
    arms=RESNET32.arms,
)

RETRIEVAL_ARMS = (
    Arm("independent", ("small_reid",) * 2),
    Arm("mutual", ("small_reid",) * 2, "mutual"),
    Arm("mutual-T2", ("small_reid",) * 2, "mutual", {"temperature": 2.0}),
)
RETRIEVAL_QUESTION = (
    " Does learning from each other make two networks find better than learning alone, each by itself and with their"
    " embeddings side by side? mAP and rank-1, paired by seed, 95 % intervals, whatever they show. The recipe is that"
    " chosen on another drawing of TinyMarket (seed 7), one seed for each of eight settings of network, rate, schedule"
    " and batch, by how well two independent networks fitted; with the one chosen, one seed of mutual learning (T = 1)"
    " was seen there{}."
)

TINY_MARKET = Experiment(
    name="tiny_market",
    question="TinyMarket, people who do not exist: 600 pictures of 100 people to learn from, 60 others to be found."
    + RETRIEVAL_QUESTION.format(""),
    data="tiny-market",
    recipe=RETRIEVAL.with_(epochs=30),
    arms=RETRIEVAL_ARMS,
    subset=600,
)

OMNIGLOT = Experiment(
    name="omniglot",
    question="Omniglot, characters that no network has learnt."
    + RETRIEVAL_QUESTION.format(", and one seed of each arm on another division of Omniglot's characters"),
    data="omniglot",
    recipe=RETRIEVAL,
    arms=RETRIEVAL_ARMS,
    subset=545,  # all but the probe images
)


class Planned(NamedTuple):
    """An experiment and how it is recorded.

    Attributes:
        experiment: what is trained.
        seeds: how many, from 0 on; a recording may have fewer so far.
        like: a recording whose speed says how long it will take, where it has none of its own.
        measure: what is measured of the trained networks beside `recordings.METRICS`.
        folders: its run folders are kept, without weights, instead of a recording.
    """

    experiment: Experiment
    seeds: int
    like: str | None = None
    measure: measures.Measure | None = None
    folders: bool = False


EXPERIMENTS = {
    planned.experiment.name: planned
    for planned in (
        Planned(AGREEMENT, 1, folders=True),
        Planned(COHORT_SIZE, 5),
        Planned(DISTILLATION, 6),
        Planned(WHY, 5, measure=measures.of_pair),
        Planned(RESNET32, 1),
        Planned(FITTED, 5),
        Planned(FITTED_AUGMENTED, 1, like="fitted"),
        Planned(MIXED, 3, like="fitted"),
        Planned(WHOLE, 1, like="fitted"),
        Planned(LABEL_NOISE, 5),
        Planned(FEW_LABELS, 3, like="cohort_size"),
        Planned(LABEL_NOISE_FASHION, 6),
        Planned(FEW_LABELS_FASHION, 6),
        Planned(UNEQUAL, 6),
        Planned(WEAK_PEER, 6),
        Planned(TINY_MARKET, 5),
        Planned(OMNIGLOT, 5),
    )
}
