"""What the agreement explorer computes in the browser is what the library computes, on the same stored numbers."""

import base64

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_teach import metrics, runs
from dml_teach.analysis import agreement
from dml_teach.analysis.posteriors import logits_of
from dml_teach.widgets import AgreementExplorer, packing
from tests.widgets.conftest import opinions, write_run
from tests.widgets.pages import ask
from tools.notebooks import BOOK

CLOSE = {"rtol": 0, "atol": 1e-6}
RECORDINGS = BOOK / "recordings" / "agreement"
# All that is shown of an epoch.
PROGRAM = """
const { shape, learning, labels, kind, epoch } = data;
const cohort = widget.cohort(widget.decode(bytes(data.posteriors), kind), shape, learning, labels);
const now = cohort.at(epoch), images = [...labels.keys()];
return {
  matrices: Object.fromEntries(Object.keys(widget.MATRICES).map((name) => [name, widget.matrix(now, name)])),
  curves: Object.fromEntries(Object.entries(widget.CURVES).map(([name, curve]) => [name, cohort.over(curve)])),
  disputes: widget.disputes(now),
  ensemble: images.map((i) => widget.ensemble(now, i)),
  ensembleRight: images.map((i) => widget.ensembleRight(now, i)),
  peersRight: images.map((i) => widget.peersRight(now, i)),
  entropy: images.map((i) => now.entropy(0, i)),
  kl: widget.klOfImage(now, 0),
  orders: Object.fromEntries(["disagreement", "class", "right"].map((by) => [by, widget.galleryOrder(now, by)])),
};
"""


def shown(explorer: AgreementExplorer, epoch: int, run: int = 0) -> dict:
    about = explorer.about
    stored = [explorer.posteriors, explorer.beside][run]
    data = {key: about["runs"][run][key] for key in ("shape", "learning")}
    data |= {"labels": about["labels"], "kind": about["kind"], "epoch": epoch}
    return ask(AgreementExplorer, PROGRAM, data | {"posteriors": base64.b64encode(stored).decode()})


def same(found, expected) -> None:
    torch.testing.assert_close(torch.as_tensor(found, dtype=torch.float64), expected.double(), **CLOSE)


def check(found: dict, posteriors: torch.Tensor, labels: torch.Tensor, learning: list[int], epoch: int) -> None:
    logits = logits_of(posteriors[epoch])
    same(found["matrices"]["agreement"], metrics.agreement(logits))
    same(found["matrices"]["kl"], metrics.pairwise_kl(logits))
    same(found["matrices"]["both_wrong"], agreement.both_wrong(logits, labels))
    same(found["disputes"], agreement.disagreement(logits[learning]))
    together = metrics.ensemble(logits[learning])
    same(found["ensemble"], together.exp())
    assert found["ensembleRight"] == (together.argmax(dim=-1) == labels).tolist()
    assert found["peersRight"] == (logits[learning].argmax(dim=-1) == labels).sum(dim=0).tolist()
    one_image = logits[:, :1]
    same(found["kl"], metrics.pairwise_kl(one_image))
    same(found["entropy"], torch.stack([metrics.entropy(logits[0, i]) for i in range(len(labels))]))


@pytest.mark.parametrize("name", ["independent", "mutual"])
@pytest.mark.parametrize("epoch", [0, 14, 29])
def test_the_recordings_come_to_the_same_in_the_browser(name, epoch):
    run = runs.load(RECORDINGS / name)
    found = shown(AgreementExplorer(run), epoch)
    check(found, run.posteriors.double(), run.probe.labels, run.learning, epoch)
    measured = agreement.over_epochs(run)
    for curve, measure in (("agreement", "mean_agreement"), ("kl", "mean_pairwise_kl"), ("entropy", "entropy")):
        same(found["curves"][curve], measured[measure])
    assert found["curves"]["agreement"][epoch] == pytest.approx(run.epochs[epoch]["mean_agreement"], abs=1e-6)


def test_the_second_run_is_computed_alike():
    pair = [runs.load(RECORDINGS / name) for name in ("independent", "mutual")]
    found = shown(AgreementExplorer(*pair), 9, run=1)
    check(found, pair[1].posteriors.double(), pair[1].probe.labels, pair[1].learning, 9)


@settings(max_examples=5, deadline=None)
@given(
    peers=st.integers(2, 5), images=st.integers(1, 9), classes=st.integers(2, 7), seed=st.integers(0, 99),
    frozen=st.booleans(),
)  # fmt: skip
def test_any_cohort_comes_to_the_same_in_the_browser(tmp_path_factory, peers, images, classes, seed, frozen):
    posteriors = opinions(2, peers, images, classes, seed)
    labels = torch.randint(classes, (images,), generator=torch.Generator().manual_seed(seed))
    folder = tmp_path_factory.mktemp("cohort") / "run"
    write_run(folder, posteriors, frozen=[0] if frozen else [], labels=labels)
    run = runs.load(folder)
    check(shown(AgreementExplorer(run), 1), posteriors.double(), labels, run.learning, 1)


def test_a_probability_of_zero_counts_as_in_the_library(make_run):
    posteriors = torch.tensor([[[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.25, 0.75]]]])
    found = shown(AgreementExplorer(make_run(posteriors=posteriors)), 0)
    expected = metrics.pairwise_kl(logits_of(posteriors[0])).double()
    torch.testing.assert_close(torch.tensor(found["matrices"]["kl"]).double(), expected, rtol=1e-6, atol=0)
    assert found["kl"][0][1] > 80


def test_half_precision_comes_to_the_same_as_the_library_on_what_is_stored(make_run, monkeypatch):
    posteriors = opinions(images=40, peers=4)
    monkeypatch.setattr(packing.thin, "__defaults__", (posteriors.numel() * 2,))
    folder = make_run(posteriors=posteriors)
    explorer = AgreementExplorer(folder)
    assert explorer.about["kind"] == "f2"
    stored = posteriors.clamp_min(packing.SMALLEST).half().double()
    check(shown(explorer, 2), stored, torch.arange(40) % 4, [0, 1, 2, 3], 2)


def test_one_peer_alone_has_nobody_to_agree_with(make_run):
    found = shown(AgreementExplorer(make_run(posteriors=opinions(peers=1))), 0)
    assert found["curves"]["agreement"] == [None] * 3  # NaN, which JSON does not know
    assert found["disputes"] == pytest.approx([0] * 7, abs=1e-12)


def test_the_gallery_puts_the_most_disputed_first(make_run):
    run = runs.load(make_run(posteriors=opinions(images=30)))
    logits, labels = logits_of(run.posteriors[-1].double()), run.probe.labels
    dispute = agreement.disagreement(logits)
    right = (logits.argmax(dim=-1) == labels).sum(dim=0)
    orders = shown(AgreementExplorer(run), 2)["orders"]
    assert orders["disagreement"] == dispute.argsort(descending=True).tolist()
    assert orders["class"] == sorted(range(30), key=lambda i: (int(labels[i]), -float(dispute[i])))
    assert orders["right"] == sorted(range(30), key=lambda i: (int(right[i]), -float(dispute[i])))


def test_the_answer_to_the_question_of_chapter_05():
    """For which ten images do the independent peers disagree most, and on how many is their ensemble right?"""
    run = runs.load(RECORDINGS / "independent")
    logits, labels = logits_of(run.posteriors[-1]), run.probe.labels
    ten = agreement.disagreement(logits).argsort(descending=True)[:10]
    right = metrics.ensemble(logits).argmax(dim=-1) == labels
    names = run.class_names
    assert int(right[ten].sum()) == 8
    assert sorted(names[labels[i]] for i in ten[~right[ten]]) == ["Dress", "Trouser"]
    text = (BOOK / "05_do_they_agree.py").read_text()
    assert "two of them carry a ✗: a dress and a pair of trousers defeat the ensemble" in text
    found = shown(AgreementExplorer(run), 29)
    assert found["orders"]["disagreement"][:10] == ten.tolist()
    assert [found["ensembleRight"][i] for i in ten] == right[ten].tolist()


def test_the_bits_of_half_precision_are_read_exactly():
    bits = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    numbers = bits.view(torch.float16)
    data = base64.b64encode(numbers.numpy().tobytes()).decode()
    found = ask(AgreementExplorer, 'return widget.decode(bytes(data), "f2")', data)
    finite = numbers.isfinite()
    expected = numbers[finite].double().tolist()
    assert [value for value, keep in zip(found, finite.tolist(), strict=True) if keep] == expected
