"""Run a named experiment and write what it finds into the book's recordings.

    python tools/record.py NAME [--data DIR] [--out FOLDER] [--seeds N] [--workers N]

agreement     run folders book/recordings/agreement/ARM of seed 0, without weights: posteriors to look at
resnet32      book/recordings/resnet32.json (needs CIFAR-100; 20 minutes on one core that multiplies bf16)
fitted        book/recordings/fitted.json (needs CIFAR-100; an hour for each seed on one core that multiplies bf16)
cohort_size   book/recordings/cohort_size.json (needs CIFAR-100; about two hours on one core)
label_noise   book/recordings/label_noise.json (needs CIFAR-100; 20 minutes on one core)
few_labels    book/recordings/few_labels.json (needs CIFAR-100; an hour on one core)
label_noise_fashion, few_labels_fashion   the same on the bundled images (five minutes each)
unequal       book/recordings/unequal.json (15 minutes on one core)
weak_peer     book/recordings/weak_peer.json (15 minutes on one core)
tiny_market   book/recordings/tiny_market.json (draws its images; 15 minutes on one core)
omniglot      book/recordings/omniglot.json (needs Omniglot; 10 minutes on one core)
distillation  book/recordings/distillation.json (ten minutes on one core)
why           book/recordings/why.json (six minutes on one core)

The cells lie in FOLDER/NAME/ARM/seed-N. What is finished there is not trained again, what was interrupted goes on: so
the same command is given until it is done, and with more seeds it adds to what there is.
"""

import argparse
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from dml_teach import experiments, recordings
from dml_teach.errors import DmlTeachError, Interrupted
from dml_teach.experiments import Arm, Experiment
from dml_teach.recipes import CLASSROOM, LAPTOP, RETRIEVAL
from dml_teach.reproduce import measures
from dml_teach.runs import Run

RECORDINGS = Path(__file__).resolve().parents[1] / "book" / "recordings"
PUBLISHED = ("config.json", "metrics.jsonl", "posteriors.safetensors", "probe.safetensors")  # of a run folder
CURVES = ("top1", "nll", "train_top1", "mean_agreement", "mean_pairwise_kl")  # on the probe images

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


def write_json(
    experiment: Experiment, results: dict[str, list[Run]], data: Path | None, measure: measures.Measure | None = None
) -> Path:
    """NAME.json of all seeds, with the numbers of `measure` if there is one; returns its path."""
    path = RECORDINGS / f"{experiment.name}.json"
    recorded = recordings.record(experiment, results, curves=CURVES, data=data)
    if measure:
        measures.add(recorded, results, data, torch.device("cpu"), measure)
    recordings.save(path, recorded)
    for row in recordings.table(recorded):
        print(f"{row.arm:<16}" + "  ".join(f"{name} {value.mean:.4f}" for name, value in row.values.items()))
    return path


def copy_runs(experiment: Experiment, results: dict[str, list[Run]], data: Path | None) -> Path:
    """The run folders of the first seed, without weights, as NAME/ARM; returns the path of NAME."""
    for arm, finished in results.items():
        target = RECORDINGS / experiment.name / arm
        target.mkdir(parents=True, exist_ok=True)
        for name in PUBLISHED:
            shutil.copyfile(finished[0].folder / name, target / name)
    return RECORDINGS / experiment.name


class Named(NamedTuple):
    """An experiment, the number of its seeds, and how it is kept."""

    experiment: Experiment
    seeds: int
    keep: Callable[[Experiment, dict[str, list[Run]], Path | None], Path]


EXPERIMENTS = {
    named.experiment.name: named
    for named in (
        Named(AGREEMENT, 1, copy_runs),
        Named(COHORT_SIZE, 5, write_json),
        Named(DISTILLATION, 6, write_json),
        Named(WHY, 4, partial(write_json, measure=measures.of_pair)),
        Named(RESNET32, 1, write_json),
        Named(FITTED, 3, write_json),
        Named(LABEL_NOISE, 3, write_json),
        Named(FEW_LABELS, 3, write_json),
        Named(LABEL_NOISE_FASHION, 6, write_json),
        Named(FEW_LABELS_FASHION, 6, write_json),
        Named(UNEQUAL, 6, write_json),
        Named(WEAK_PEER, 6, write_json),
        Named(TINY_MARKET, 5, write_json),
        Named(OMNIGLOT, 5, write_json),
    )
}


def main(arguments: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=EXPERIMENTS)
    parser.add_argument("--data", type=Path, help="folder of the data set, or its parent")
    parser.add_argument("--out", type=Path, default=Path("runs/recordings"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, help="how many, from 0 on (default: the experiment's)")
    parser.add_argument("--workers", type=int, help="processes, one core each (default: all cores)")
    chosen = parser.parse_args(arguments)
    experiment, seeds, keep = EXPERIMENTS[chosen.name]
    try:
        results = experiments.run(
            experiment,
            chosen.out / experiment.name,
            seeds=range(chosen.seeds or seeds),
            workers=chosen.workers,
            data=chosen.data,
        )
        print(f"written: {keep(experiment, results, chosen.data)}")
    except DmlTeachError as error:
        print(f"record: error: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, Interrupted):
        print("record: interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
