"""The paper's tables and figures as data: which arms each needs, and what of ours stands beside what of theirs.

A target at a scale is a `Plan`: an experiment to train and the lines of its table; `setups` has the scales. Arms of one
experiment are shared by the targets that need them, and so are their finished runs.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dml_teach.data import sets
from dml_teach.errors import ConfigError
from dml_teach.experiments import Arm, Experiment, Topology
from dml_teach.reproduce.setups import CLASSES, COHORTS, PEOPLE, SCALES, Setup

NOISE = (0.05, 0.1)
"""Scales of the noise on the weights, relative to each tensor's root mean square; see `analysis.flatness`."""


class Source(NamedTuple):
    """Where a number of ours is found: in one of these arms, of one peer, of the mean of the peers (None) or of their
    ensemble. Of several arms it is the one that did best on the held-out probe images, on average over the seeds."""

    arms: tuple[str, ...]
    peer: int | None = None
    ensemble: bool = False


class Line(NamedTuple):
    """A line of a target's table. The first five fields are as in `published`.

    Attributes:
        measure: the name of our number in a recording.
        ours: where it is; None where it is not run.
        baseline: what the difference is from; None for a baseline itself.
        why: it is not run.
    """

    data: str
    metric: str
    networks: str
    setting: str
    of: str
    measure: str
    ours: Source | None
    baseline: Source | None = None
    why: str = ""


class Plan(NamedTuple):
    """A target at a scale. `experiment` is None where nothing is to be trained; `measures` asks for those of `fig3`."""

    title: str
    experiment: Experiment | None
    lines: tuple[Line, ...]
    against: str = "independent"
    measures: bool = False


TABLE_2 = (
    ("ResNet-32", "ResNet-32"),
    ("WRN-28-10", "ResNet-32"),
    ("MobileNet", "ResNet-32"),
    ("MobileNet", "MobileNet"),
    ("WRN-28-10", "MobileNet"),
    ("WRN-28-10", "WRN-28-10"),
)
TABLE_CIFAR10 = tuple(pair for pair in TABLE_2 if pair != ("WRN-28-10", "MobileNet"))
TABLE_4 = (("WRN-28-10", "ResNet-32"), ("MobileNet", "ResNet-32"))
TABLE_4_MARKET = (("InceptionV1", "MobileNet"), ("MobileNet", "MobileNet"))
TEMPERATURES = (1.0, 2.0, 4.0)
"""Of the distillation that is tuned, on held-out images; the paper does not say which it took."""
COUNTS = (1, 2, 3, 4, 5)
OTHERS = "cohorts of ResNet-32 stand here for comparison; `dml-teach train cifar100` trains them"


def plan(target: str, scale: str) -> Plan:
    """A target at a scale.

    Raises:
        ConfigError: there is no such target or scale.
    """
    if target not in TARGETS:
        raise ConfigError(f"target '{target}' is not known: choose one of {', '.join(TARGETS)}")
    if scale not in SCALES:
        raise ConfigError(f"scale '{scale}' is not known: choose one of {', '.join(SCALES)}")
    return TARGETS[target](scale)


# --- the targets ---


def table1(scale: str) -> Plan:
    """Table 1: parameters. They are counted, at every scale those of the paper's networks."""
    names = ("ResNet-32", "MobileNet", "InceptionV1", "WRN-28-10")
    lines = [Line("CIFAR-100", "count", name, "parameters", "net 1", "parameters", Source(())) for name in names]
    return Plan("Table 1: parameters at 100 classes", None, tuple(lines), against="")


def table2(scale: str) -> Plan:
    """Table 2: pairs on CIFAR-100."""
    return _pairs("Table 2: pairs of networks on CIFAR-100", CLASSES[scale], "pairs", scale, TABLE_2, "CIFAR-100")


def cifar10(scale: str) -> Plan:
    """The same pairs on CIFAR-10."""
    setup = CLASSES[scale]
    if setup.data == "cifar100":
        setup = setup._replace(data="cifar10")
    name = "pairs" if setup.data == "bundled" else "pairs10"
    return _pairs("Pairs of networks on CIFAR-10", setup, name, scale, TABLE_CIFAR10, "CIFAR-10")


def table4(scale: str) -> Plan:
    """Table 4: mutual learning against distillation, the strong kinds too."""
    setup, data, metric = CLASSES[scale], "CIFAR-100", "top-1 %"
    arms, lines = _Arms(setup), []
    for teacher, student in TABLE_4:
        if teacher not in setup.networks:
            for of, settings in (
                ("net 1", ("independent", "mutual")),
                ("net 2", ("independent", "distilled", "mutual")),
            ):
                lines += _not_run(data, metric, f"{teacher} + {student}", settings, of, teacher)
            continue
        named, alone = f"{teacher} + {student}", arms.independent(student, 4)
        base = Source((alone,), 0)
        taught = [arms.taught(student, arms.independent(teacher, 2), 1, t) for t in TEMPERATURES]
        mutual = arms.mutual(teacher, student)
        common = (data, metric, named)
        lines += [
            Line(*common, "independent", "net 1", "top1", Source((arms.independent(teacher, 2),), 0)),
            Line(*common, "independent", "net 2", "top1", base),
            Line(*common, "distilled", "net 2", "top1", Source((taught[0],), 0), base),
            Line(*common, "distilled, T tuned", "net 2", "top1", Source(tuple(taught), 0), base),
            Line(
                *(*common, "mutual", "net 1", "top1", Source((mutual,), 0)),
                Source((arms.independent(teacher, 2),), 0),
            ),
            # In the pair the student is peer 1: its twin that learns alone is peer 1 as well.
            Line(*common, "mutual", "net 2", "top1", Source((mutual,), 1), Source((alone,), 1)),
        ]
    student = "ResNet-32"
    alone, named = arms.independent(student, 4), f"{student} × 4"
    base = Source((alone,), 0)
    taught = [arms.taught(student, alone, 3, t) for t in TEMPERATURES]
    common = (data, metric, named)
    lines += [
        Line(*common, "distilled from three", "net 1", "top1", Source((taught[0],), 0), base),
        Line(*common, "distilled from three, T tuned", "net 1", "top1", Source(tuple(taught), 0), base),
        Line(*common, "independent", "mean", "top1", Source((alone,))),
        Line(*common, "mutual", "mean", "top1", Source((arms.mutual_of(student, 4),)), Source((alone,))),
    ]
    title = "Table 4: mutual learning against distillation, at the training cost of two networks and of four"
    return Plan(title, arms.experiment("pairs", scale), tuple(lines))


def fig2(scale: str) -> Plan:
    """Figure 2: the number of peers."""
    setup = COHORTS[scale]
    arms, lines = _Arms(setup), []
    alone, metric, measure = arms.independent("MobileNet", 5, every_size=True), *_metric(setup)
    for k in COUNTS:
        for of in ("mean", "ensemble")[: 1 + (k > 1)]:
            base = Source((f"{alone}-{k}",), ensemble=of == "ensemble")
            named = ("Market-1501", metric, f"MobileNet × {k}")
            lines.append(Line(*named, "independent", of, measure, base))
            if k > 1:
                mutual = Source((arms.mutual_of("MobileNet", k),), ensemble=of == "ensemble")
                lines.append(Line(*named, "mutual", of, measure, mutual, base))
    lines += [
        Line("CIFAR-100", "top-1 %", f"ResNet-32 × {k}", setting, of, "top1", None, why=OTHERS)
        for k in (4, 8, 12)
        for setting in ("independent", "mutual")
        for of in ("mean", "ensemble")
        if (k, setting) not in ((4, "independent"), (12, "independent"))
    ]
    return Plan("Figure 2: the number of peers", arms.experiment("cohorts", scale), tuple(lines))


def fig3(scale: str) -> Plan:
    """Figure 3: how flat the minima are, and how certain the networks."""
    setup = CLASSES[scale]
    arms = _Arms(setup)
    alone, mutual = arms.independent("ResNet-32", 2), arms.mutual("ResNet-32", "ResNet-32")
    told = {
        "train_entropy": "posterior entropy on training images, nats",
        "train_favourite": "posterior of the favourite class, training images",
        **{f"rise_{s:g}": f"rise of the training loss, weight noise of {s:g} of each tensor's RMS" for s in NOISE},
    }
    lines = []
    for measure, metric in told.items():
        common = ("CIFAR-100", metric, "ResNet-32")
        lines.append(Line(*common, "independent", "mean", measure, Source((alone,))))
        lines.append(Line(*common, "mutual", "mean", measure, Source((mutual,)), Source((alone,))))
    why = "the paper does not say how its noise is scaled, so no σ of ours is its σ"
    for sigma in ("0.5", "1.0"):
        metric = f"rise of the training loss under weight noise, σ = {sigma}"
        lines += [
            Line("Market-1501", metric, "MobileNet", setting, "mean", "", None, why=why)
            for setting in ("independent", "mutual")
        ]
    return Plan("Figure 3: minima and entropy", arms.experiment("pairs", scale), tuple(lines), measures=True)


def fig4(scale: str) -> Plan:
    """Figure 4: the mean of the divergences, DML_e, and the sum that the paper's code takes."""
    setup = COHORTS[scale]
    arms, lines = _Arms(setup), []
    metric, measure = _metric(setup)
    mutual = arms.mutual_of("MobileNet", 5)
    ensemble = arms.mutual_of("MobileNet", 5, "dml_e", mimicry="ensemble")
    summed = arms.mutual_of("MobileNet", 5, "summed", mimicry="summed")
    for of in ("mean", "ensemble"):
        sources = [Source((arm,), ensemble=of == "ensemble") for arm in (mutual, ensemble, summed)]
        for setting, source in zip(("mutual", "DML_e", "summed"), sources, strict=True):
            base = None if source is sources[0] else sources[0]
            lines.append(Line("Market-1501", metric, "MobileNet × 5", setting, of, measure, source, base))
    lines += [
        Line("CIFAR-100", "top-1 %", "ResNet-32 × 8", setting, "mean", "top1", None, why=OTHERS)
        for setting in ("mutual", "DML_e")
    ]
    title = "Figure 4: the paper's mean over the peers, DML_e, and the sum in its code"
    return Plan(title, arms.experiment("cohorts", scale), tuple(lines), against="mutual")


def market(scale: str) -> Plan:
    """Market-1501: the rows of Table 4 and a pair's ensemble."""
    setup = PEOPLE[scale]
    arms, lines = _Arms(setup), []
    metric, measure = _metric(setup)
    for teacher, student in TABLE_4_MARKET:
        common = ("Market-1501", metric, f"{teacher} + {student}")
        alone = [arms.independent(teacher, 2), arms.independent(student, 2)]
        mutual = arms.mutual(teacher, student)
        # The student must not start from its teacher's weights: an equal teacher is peer 1 of its pair, the student 0.
        taught = arms.taught(student, alone[0], 1, 1.0)
        lines += [
            Line(*common, "independent", "net 1", measure, Source((alone[0],), 0)),
            Line(*common, "independent", "net 2", measure, Source((alone[1],), 1)),
            Line(*common, "distilled", "net 2", measure, Source((taught,), 0), Source((alone[1],), 0)),
            Line(*common, "mutual", "net 1", measure, Source((mutual,), 0), Source((alone[0],), 0)),
            Line(*common, "mutual", "net 2", measure, Source((mutual,), 1), Source((alone[1],), 1)),
        ]
    common = ("Market-1501", metric, "MobileNet × 2")
    base = Source((arms.independent("MobileNet", 2),), ensemble=True)
    lines.append(Line(*common, "independent", "ensemble", measure, base))
    lines.append(
        Line(
            *common,
            "mutual",
            "ensemble",
            measure,
            Source((arms.mutual("MobileNet", "MobileNet"),), ensemble=True),
            base,
        )
    )
    return Plan("Market-1501: finding people again", arms.experiment("people", scale), tuple(lines))


TARGETS: dict[str, Callable[[str], Plan]] = {
    target.__name__: target for target in (table1, table2, cifar10, table4, fig2, fig3, fig4, market)
}


# --- what they are made of ---


class _Arms:
    """The arms that a target asks for, each once, of the paper's networks by name."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.found: dict[str, Arm] = {}

    def independent(self, network: str, count: int, *, every_size: bool = False) -> str:
        """`count` of a network, each alone; returns the arm's name."""
        return self._add(f"independent-{_slug(network)}-x{count}", (network,) * count, every_size=every_size)

    def mutual(self, first: str, second: str) -> str:
        """Two that teach each other."""
        return self._add(f"mutual-{_slug(first)}-{_slug(second)}", (first, second), "mutual")

    def mutual_of(self, network: str, count: int, kind: str = "mutual", **changes: Any) -> str:
        """`count` of a network that teach each other."""
        return self._add(f"{kind}-{_slug(network)}-x{count}", (network,) * count, "mutual", changes=changes)

    def taught(self, student: str, teachers: str, count: int, temperature: float) -> str:
        """A student of the last `count` networks of an arm, which are frozen.

        The student starts from the weights of peer 0, so the first network of that arm does not teach.
        """
        size = len(self.found[teachers].peers)
        matrix = ((0.0, *(1 / count,) * count), *((0.0,) * (1 + count),) * count)
        name = f"taught-{_slug(student)}-by-{count}-of-{teachers.removeprefix('independent-')}-t{temperature:g}"
        chosen = {"teachers": teachers, "teaching": tuple(range(size - count, size))}
        return self._add(name, (student,), matrix, changes={"temperature": temperature}, **chosen)

    def experiment(self, kind: str, scale: str) -> Experiment:
        """The experiment of all arms asked for."""
        return Experiment(
            name=f"{kind}-{scale}",
            question="The paper's tables and figures, re-run: paired by seed, last epoch, 95 % intervals, whatever"
            " they show.",
            data=self.setup.data,
            recipe=self.setup.recipe,
            arms=tuple(self.found.values()),
            subset=self.setup.subset,
        )

    def _add(self, name: str, networks: Sequence[str], topology: Topology = "independent", **more: Any) -> str:
        built = [self.setup.networks[network] for network in networks]
        options = tuple(options for _, options in built)
        self.found[name] = Arm(name, tuple(ours for ours, _ in built), topology, options=options, **more)
        return name


def _pairs(title: str, setup: Setup, kind: str, scale: str, pairs: Sequence[tuple[str, str]], data: str) -> Plan:
    """Two networks alone and teaching each other, for each pair: of unequal ones each by itself, of equal ones the mean
    and the ensemble."""
    arms, lines = _Arms(setup), []
    for pair in pairs:
        named = f"{pair[0]} + {pair[1]}"
        missing = [network for network in pair if network not in setup.networks]
        ofs = ("mean", "ensemble") if pair[0] == pair[1] else ("net 1", "net 2")
        if missing:
            for of in ofs:
                lines += _not_run(data, "top-1 %", named, ("independent", "mutual"), of, missing[0])
            continue
        mutual = arms.mutual(*pair)
        for place, of in enumerate(ofs):
            peer, ensemble = (None, of == "ensemble") if pair[0] == pair[1] else (place, False)
            base = Source((arms.independent(pair[place], 2),), peer, ensemble)
            lines.append(Line(data, "top-1 %", named, "independent", of, "top1", base))
            lines.append(Line(data, "top-1 %", named, "mutual", of, "top1", Source((mutual,), peer, ensemble), base))
    return Plan(title, arms.experiment(kind, scale), tuple(lines))


def _not_run(data: str, metric: str, named: str, settings: Sequence[str], of: str, missing: str) -> list[Line]:
    why = f"{missing} is too large for this scale; --scale paper trains it"
    return [Line(data, metric, named, setting, of, "top1", None, why=why) for setting in settings]


def _metric(setup: Setup) -> tuple[str, str]:
    """What the paper calls the result, in its table on Market-1501, and its name in our recording."""
    return ("mAP %", "mAP") if sets.FACTS[setup.data].retrieval else ("mAP %", "top1")


def _slug(network: str) -> str:
    return "".join(letter for letter in network.lower() if letter.isalnum())
