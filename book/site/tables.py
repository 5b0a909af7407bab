"""The paper's tables beside other people's results and ours, as markdown; a page asks for them when the site is built.

What others published is `dml_teach.published`. What is ours comes from every `recordings/*.json`, as
`dml_teach.recordings` and `dml_teach.demo` describe them: another recording, and the page changes. Where there is none,
the page says "not run".
"""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dml_teach import comparison, demo, models, recordings
from dml_teach.errors import DataError
from dml_teach.models import NAMES
from dml_teach.published import PLUS_MINUS, TIERS, Number
from dml_teach.reproduce import table

OURS = ("independent", "distilled", "mutual", "DML_e")  # settings that this project can run
NETWORKS = {
    "small": "small",
    "resnet32": "ResNet-32",
    "resnet56": "ResNet-56",
    "mobilenet": "MobileNet",
    "inception_v1": "InceptionV1",
    "wrn28_10": "WRN-28-10",
}  # that the paper's tables may be compared with; in the order of NAMES
DATA = {
    "bundled": "Fashion-MNIST slice",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "market1501": "Market-1501",
    "tiny-market": "TinyMarket",
    "omniglot": "Omniglot",
}
NOT_RUN = "not run"


def recordings_in(folder: Path) -> dict[str, dict[str, Any]]:
    """Every recording of a folder by its file name.

    Raises:
        DataError: one does not say where it comes from.
    """
    found = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    for name, recorded in found.items():
        if not isinstance(recorded, dict) or not recorded.get("provenance"):
            raise DataError(
                f"{name}: a recording needs its provenance; make it with tools/record.py or `dml-teach demo`"
            )
    return found


def named(networks: Sequence[str]) -> str:
    """A cohort in words, the largest network first, as the paper's tables write them."""
    shown = [NETWORKS[name] for name in sorted(networks, key=NAMES.index, reverse=True)]
    if len(shown) != 2 and len(set(shown)) == 1:
        return f"{shown[0]} × {len(shown)}"
    return " + ".join(shown)


def setting_of(recipe: Mapping[str, Any], arm: Mapping[str, Any]) -> str | None:
    """Which of the paper's settings an arm of a recording is; None for one that the paper does not have."""
    merged = {**recipe, **arm["changes"]}
    if set(arm["changes"]) - {"temperature", "mimicry"}:
        return None
    if arm["teachers"]:
        return "distilled" if merged["temperature"] == 1 else None
    if arm["topology"] == "independent":
        return "independent"
    if arm["topology"] != "mutual" or merged["temperature"] != 1:
        return None
    return {"pairwise": "mutual", "ensemble": "DML_e"}.get(merged["mimicry"])


def ours(found: Mapping[str, Mapping[str, Any]]) -> Iterator[Number]:
    """Numbers of the recordings that stand beside the paper's: same networks, same data set, T = 1."""
    for file, recorded in found.items():
        if "arms" not in recorded:
            continue
        recipe, data = recorded["recipe"], recorded["data"]
        noise = recipe.get("label_noise", 0)
        where = DATA.get(data["name"], data["name"]) + (f", {100 * noise:g} % label noise" if noise else "")
        note = f"{seeds(recorded)}, {thousands(data['training_images'])} training images"
        note += f", {recipe['epochs']} epochs"
        for arm in recorded["arms"]:
            setting = setting_of(recipe, arm)
            peers = [peer["network"] for peer in arm["peers"] if not peer["frozen"]]
            if setting is None or "top1" not in arm or any(name not in NETWORKS for name in peers):
                continue
            for of, values in columns(arm, peers).items():
                mean, deviation = (f"{100 * value:.2f}" for value in comparison.mean_and_deviation(values))
                common = ("ours", "", where, "top-1 %", named(peers), setting, of)
                spread = deviation if len(values) > 1 else ""
                yield Number(*common, mean, spread, "printed", note, f"`{file}`")


def columns(arm: Mapping[str, Any], peers: Sequence[str]) -> dict[str, list[float]]:
    """Test accuracies of an arm, seed by seed, under what they are of: two different networks each have their own."""
    found = {"ensemble": arm["ensemble_top1"]} if len(peers) > 1 else {}
    if len(peers) == 2 and len(set(peers)) == 2:
        first, second = sorted((0, 1), key=lambda k: NAMES.index(peers[k]), reverse=True)
        return found | {
            "net 1": [seed[first] for seed in arm["top1"]],
            "net 2": [seed[second] for seed in arm["top1"]],
        }
    return found | {"mean": [statistics.fmean(seed) for seed in arm["top1"]]}


def side_by_side(table: str, numbers: Sequence[Number]) -> str:
    """One table of the page as markdown: for each networks, a row for every tier and source.

    Args:
        table: its name in `published.csv`.
        numbers: published ones and ours.

    Raises:
        DataError: there is no such table.
    """
    published = [number for number in numbers if number.table == table]
    if not published:
        raise DataError(f"table '{table}' is not in published.csv")
    heads = columns_of(published)
    several = [len({number.data for number in published}) > 1, len({number.metric for number in published}) > 1]
    titles = [title for title, shown in zip(("data", "measure"), several, strict=True) if shown]
    rows = [["networks", *titles, "tier", *(f"{of} {setting}" if of else setting for setting, of in heads), "from"]]
    rows.append([*["---"] * (len(titles) + 2), *["--:"] * len(heads), "---"])
    for group in unique(where(number) for number in published):
        first = [group[0], *(text for text, shown in zip(group[1:], several, strict=True) if shown)]
        lines = [number for number in numbers if where(number) == group and number.table in (table, "")]
        if any(setting in OURS for setting, _ in heads) and all(number.tier != "ours" for number in lines):
            lines.append(lines[0]._replace(tier="ours", setting="", value="", note="", source=""))
        for origin in unique((number.tier, number.note, number.source) for number in lines):
            of_origin = [number for number in lines if (number.tier, number.note, number.source) == origin]
            cells = [cell([n for n in of_origin if (n.setting, ensemble(n)) == head]) for head in heads]
            cells = [text or (NOT_RUN if origin[0] == "ours" else "") for text in cells]
            rows.append([*first, badge(origin[0]), *cells, how(*origin)])
            first = [""] * len(first)
    return markdown(rows)


def columns_of(published: Sequence[Number]) -> list[tuple[str, str]]:
    """The columns of a table, (setting, "" or "ensemble"): those of `OURS` first, ensembles at the end."""
    present = {(number.setting, ensemble(number)) for number in published}
    settings = unique([*OURS, *(number.setting for number in published)])
    wanted = [(setting, of) for of in ("", "ensemble") for setting in settings]
    return [column for column in wanted if column in present]


def where(number: Number) -> tuple[str, str, str]:
    """What was measured on which networks: numbers that agree in it stand side by side."""
    return number.networks, number.data, number.metric


def cell(numbers: Sequence[Number]) -> str:
    """What stands in one cell: the mean, or the values of both networks."""
    by = {number.of: number.text for number in numbers}
    if "net 1" in by or "net 2" in by:
        return f"{by.get('net 1', '–')}\u00a0/ {by.get('net 2', '–')}"
    return next(iter(by.values()), "")


def ensemble(number: Number) -> str:
    """Whether a number is of the ensemble, as the second part of a column's head."""
    return "ensemble" if number.of == "ensemble" else ""


def how(tier: str, note: str, source: str) -> str:
    """The last cell of a row: how a number came about, and whose it is; the paper's own tables need no more than that."""
    return note if tier == "paper" else "; ".join(filter(None, (note, source.partition(":")[0])))


def parameters(numbers: Sequence[Number]) -> str:
    """The networks' sizes, published and counted here."""
    rows = [["network", *(badge(tier) for tier in TIERS)], ["---", "--:", "--:", "--:"]]
    for name, shown in NETWORKS.items():
        by = {n.tier: n for n in numbers if n.table == "parameters" and n.networks == shown}
        if by:
            count = sum(p.numel() for p in models.build(name).parameters())
            others = thousands(int(by["others"].value)) if "others" in by else ""
            rows.append([shown, f"{by['paper'].value} million", others, thousands(count)])
    return markdown(rows)


def sources(numbers: Sequence[Number]) -> str:
    """Every place where a published number was read, with the tables that it serves."""
    by: dict[str, list[str]] = {}
    for number in numbers:
        if number.tier != "ours" and number.table not in by.setdefault(number.source, []):
            by[number.source].append(number.table)
    return "\n".join(f"- `{source}`: {', '.join(tables)}" for source, tables in sorted(by.items()))


def recorded_tables(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Every recording of ours: what was run, and its table."""
    return "\n\n".join(f"{origin(file, recorded)}\n\n{table_of(recorded)}" for file, recorded in found.items())


def origin(file: str, recorded: Mapping[str, Any]) -> str:
    """Where a recording comes from: its question, data, seeds, command, commit and hardware."""
    origins = recorded["provenance"] if isinstance(recorded["provenance"], list) else [recorded["provenance"]]
    lines = [f"**`{file}`**" + (f" {recorded['question']}" if "question" in recorded else "")]
    facts = []
    if "data" in recorded:
        data = recorded["data"]
        facts.append(DATA.get(data["name"], data["name"]))
        facts.append(f"{thousands(data['training_images'])} training images" if "training_images" in data else "")
    facts.append(seeds(recorded))
    lines.append(badge("ours") + " " + ", ".join(filter(None, facts)) + ".")
    for each in origins:
        hardware, versions = each.get("hardware", {}), each.get("versions", {})
        processor = hardware.get("processor") or hardware.get("device", "")
        lines.append(
            f"`{each['command']}` at commit `{(each.get('commit') or 'unknown')[:12]}`, torch {versions.get('torch', '?')}, {processor}."
        )
    return "\n\n".join([lines[0], *lines[1:]])


def table_of(recorded: Mapping[str, Any]) -> str:
    """A recording's results as markdown; nothing for one of another form."""
    if "settings" in recorded:
        results = demo.table(dict(recorded))
    elif "arms" in recorded:
        results = recordings.table(recorded)
    else:
        return ""
    heads = ["", "top-1 %", "difference", "NLL", "difference", "ensemble %", "difference"]
    heads += ["mAP %", "difference", "rank-1 %", "difference", "ensemble mAP %", "difference"]
    heads += ["agreement %", "training %"]
    rows = [heads, ["---"] + ["--:"] * (len(heads) - 1)]
    for arm, values in results:
        cells = [arm]
        for metric in ("top1", "nll", "ensemble_top1", "mAP", "rank1", "ensemble_mAP"):
            value, percent = values.get(metric), metric != "nll"
            cells.append("" if value is None else spread_out(value.mean, value.deviation, percent))
            cells.append("" if value is None or value.difference is None else signed(value.difference, percent))
        for metric in ("mean_agreement", "train_top1"):
            cells.append(f"{100 * values[metric].mean:.1f}" if metric in values else "")
        rows.append(cells)
    return markdown(without_empty_columns(rows))


def without_empty_columns(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The same table without columns in which no row says anything; the first two rows are head and alignment."""
    kept = [place for place in range(len(rows[0])) if any(row[place] for row in rows[2:])]
    return [[row[place] for place in kept] for row in rows]


def spread_out(mean: float, deviation: float, percent: bool) -> str:
    """Mean ± standard deviation; a single seed has no spread."""
    factor, digits = (100, 2) if percent else (1, 3)
    spread = f"{PLUS_MINUS}{factor * deviation:.{digits}f}" if deviation == deviation else ""
    return f"{factor * mean:.{digits}f}{spread}"


def signed(change: comparison.Paired, percent: bool) -> str:
    """A paired difference with its 95 % interval and, of accuracies, the seeds in which it was above 0."""
    factor, digits = (100, 2) if percent else (1, 3)
    text = table.signed(change, factor, digits)
    return f"{text} ({change.won}/{change.seeds})" if percent and change.seeds > 1 else text


def seeds(recorded: Mapping[str, Any]) -> str:
    """How many seeds a recording has, in words; nothing for one that does not say."""
    count = len(recorded.get("seeds", ()))
    return f"{count} seed{'s' * (count > 1)}" if count else ""


def badge(tier: str) -> str:
    """A tier, marked so that the style sheet can colour it."""
    return f"[{tier}]{{.tier .tier-{tier}}}"


def thousands(count: int) -> str:
    """A count with thin gaps between its thousands."""
    return f"{count:,}".replace(",", "\u202f")


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as a pipe table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def unique(values: Any) -> list[Any]:
    """Each value once, in the order of first appearance."""
    return list(dict.fromkeys(values))
