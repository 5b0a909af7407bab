"""The retrieval explorer: rankings under Market-1501's protocol, AP in both conventions, and what it stores."""

import base64
import itertools

import numpy as np
import pytest
import torch
import traitlets
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_teach.data.retrieval import IdentitySet, RetrievalSet
from dml_teach.errors import ConfigError
from dml_teach.reid import ranking as reid
from dml_teach.widgets import RetrievalExplorer
from dml_teach.widgets.ranking import BAD_DETECTION, MATCH, SAME_CAMERA, WRONG, rank
from tests.widgets.pages import ask

CLOSE = {"abs": 1e-6, "nan_ok": True}


def images_of(identities, cameras, name) -> IdentitySet:
    count = len(identities)
    pixels = torch.arange(count * 3 * 8 * 4).reshape(count, 3, 8, 4).to(torch.uint8)
    names = tuple(f"{name}{i}.jpg" for i in range(count))
    return IdentitySet(pixels, torch.as_tensor(identities), torch.as_tensor(cameras), names, name)


def images(query_ids, query_cams, gallery_ids, gallery_cams, pixels=True) -> RetrievalSet:
    query, gallery = images_of(query_ids, query_cams, "q"), images_of(gallery_ids, gallery_cams, "g")
    return RetrievalSet(query, gallery, "made up", (0.5,) * 3, (0.25,) * 3, pixels)


# Two queries, worked out by hand: hits at places 2 and 4, and at place 1.
WORKED = images([1, 2], [1, 3], [1, 1, 0, 2, -1, 1], [1, 2, 3, 1, 2, 3])
DISTANCES = torch.tensor([[0.10, 0.30, 0.20, 0.40, 0.35, 0.50], [0.30, 0.25, 0.40, 0.15, 0.05, 0.60]])


def at_random(seed: int, queries: int = 6, gallery: int = 40) -> tuple[RetrievalSet, torch.Tensor]:
    """A test with junk, distractors, ties and queries that ask for nobody."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low, high, count):
        return torch.randint(low, high, (count,), generator=generator)

    found = images(draw(0, 5, queries), draw(1, 4, queries), draw(-1, 5, gallery), draw(1, 4, gallery))
    return found, draw(0, 15, queries * gallery).reshape(queries, gallery) / 10


def hits(explorer: RetrievalExplorer, ranking: int = 0) -> list[list[int]]:
    flat = np.frombuffer(explorer.hits, "<i4").tolist()
    counts = explorer.about["counts"]
    start = ranking * sum(counts)
    ends = np.cumsum([start, *counts])
    return [flat[a:b] for a, b in itertools.pairwise(ends)]


def test_the_worked_example():
    found = rank("", DISTANCES, WORKED, places=6)
    assert [row.tolist() for row in found.places] == [[2, 4], [1]]
    assert found.top[0].tolist() == [0, 2, 1, 4, 3, 5]
    assert found.kinds[0].tolist() == [SAME_CAMERA, WRONG, MATCH, BAD_DETECTION, WRONG, MATCH]


def test_both_average_precisions_of_the_worked_example():
    program = "return data.map((places) => [widget.averagePrecision(places), widget.inversePenalty(places)])"
    first, second = ask(RetrievalExplorer, program, hits(RetrievalExplorer(DISTANCES, WORKED)))
    assert first == [{"sum": 0.5, "trapezoid": pytest.approx(1 / 3)}, 0.5]
    assert second == [{"sum": 1, "trapezoid": 1}, 1]


@pytest.mark.parametrize("seed", range(4))
def test_scores_in_the_browser_are_those_of_reid(seed):
    found, distances = at_random(seed)
    places = hits(RetrievalExplorer(distances, found))
    program = """return {
      each: data.map((places) => ({ ...widget.averagePrecision(places), inp: widget.inversePenalty(places) })),
      means: widget.meansOf(data),
    }"""
    shown = ask(RetrievalExplorer, program, places)
    labels = [part.numpy() for part in (
        found.query.identities, found.gallery.identities, found.query.cameras, found.gallery.cameras)]  # fmt: skip
    for convention in ("sum", "trapezoid"):
        expected = reid.evaluate_distances(distances, *labels, ap=convention)
        assert shown["means"][convention] == pytest.approx(expected.mAP, **CLOSE)
        for q, valid in enumerate(expected.valid):
            assert bool(places[q]) == bool(valid)
            if valid:
                assert shown["each"][q][convention] == pytest.approx(expected.ap[q], **CLOSE)
                assert shown["each"][q]["inp"] == pytest.approx(expected.inp[q], **CLOSE)
                assert places[q][0] == expected.first_match_rank[q]
    assert shown["means"]["inp"] == pytest.approx(expected.mINP, **CLOSE)
    assert shown["means"]["rank1"] == pytest.approx(expected.cmc[0], **CLOSE)


def slow(distances, found, q):
    """What stands in which place, one image after the other."""
    place, where = 0, []
    identity = int(found.query.identities[q])
    for g in sorted(range(len(found.gallery)), key=lambda g: (float(distances[q, g]), g)):
        same = identity > 0 and int(found.gallery.identities[g]) == identity
        if int(found.gallery.identities[g]) == -1 or (same and found.gallery.cameras[g] == found.query.cameras[q]):
            continue
        place += 1
        if same:
            where.append(place)
    return where


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_places_are_those_of_a_slow_loop(seed):
    found, distances = at_random(seed)
    ranked = rank("", distances, found, places=10)
    assert [row.tolist() for row in ranked.places] == [slow(distances, found, q) for q in range(len(found.query))]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9, unique=True).map(sorted))
@settings(max_examples=10, deadline=None)
def test_reading_on_adds_up_to_the_whole_and_trapezoids_are_never_more(places):
    program = "return Array.from({ length: 61 }, (_, upTo) => widget.averagePrecision(data, upTo))"
    read = ask(RetrievalExplorer, program, places)
    whole = sum((k + 1) / place for k, place in enumerate(places)) / len(places)
    assert read[-1]["sum"] == pytest.approx(whole) and read[0] == {"sum": 0, "trapezoid": 0}
    assert all(step["trapezoid"] <= step["sum"] + 1e-12 for step in read)
    assert [a["sum"] <= b["sum"] for a, b in itertools.pairwise(read)] == [True] * 60


def test_several_rankings_are_kept_apart():
    reversed_order = -DISTANCES
    explorer = RetrievalExplorer(
        {"peer 0": DISTANCES, "ensemble": reversed_order}, WORKED, reranked={"ensemble": DISTANCES}
    )
    assert explorer.about["rankings"] == ["peer 0", "ensemble", "ensemble, re-ranked"]
    assert hits(explorer, 0) == hits(explorer, 2) == [[2, 4], [1]]
    assert hits(explorer, 1) == [slow(reversed_order, WORKED, q) for q in range(2)]
    assert explorer.ranking == "peer 0"
    explorer.ranking = "ensemble, re-ranked"
    with pytest.raises(traitlets.TraitError, match="ranking 'peer 9' is not stored; choose one of peer 0"):
        explorer.ranking = "peer 9"


def test_pictures_are_stored_once_and_found_again():
    explorer = RetrievalExplorer({"a": DISTANCES, "b": -DISTANCES}, WORKED, queries=[1], places=2)
    names = explorer.about["gallery"]["names"]
    top = np.frombuffer(explorer.top, "<i4").reshape(2, 1, 2)
    assert [[names[i] for i in row[0]] for row in top] == [["g4.jpg", "g3.jpg"], ["g5.jpg", "g2.jpg"]]
    pictures = np.frombuffer(explorer.pixels, np.uint8).reshape(1 + len(names), 8, 4, 3)
    assert (pictures[0] == WORKED.query.images[1].permute(1, 2, 0).numpy()).all()
    assert (pictures[1 + top[0, 0, 0]] == WORKED.gallery.images[4].permute(1, 2, 0).numpy()).all()


def test_without_pixels_there_are_names():
    explorer = RetrievalExplorer(DISTANCES, images([1, 2], [1, 3], [1, 1, 0, 2, -1, 1], [1, 2, 3, 1, 2, 3], False))
    assert explorer.pixels == b"" and "Names stand in place of pictures" in explorer.about["note"]


def test_what_python_sees():
    explorer = RetrievalExplorer(DISTANCES, WORKED, queries=[1, 0])
    assert (explorer.query, explorer.ranking, explorer.place) == (1, "ranking", 6)
    explorer.query, explorer.place = 0, 99
    assert (explorer.query, explorer.place) == (0, 6)
    with pytest.raises(traitlets.TraitError, match="query 2 is not stored"):
        explorer.query = 2
    assert repr(explorer) == "RetrievalExplorer: 2 queries, ranking."


def test_numpy_distances_and_infinite_ones_are_taken():
    distances = DISTANCES.numpy().copy()
    distances[0, 0] = np.inf
    assert hits(RetrievalExplorer(distances, WORKED)) == [[2, 4], [1]]


@pytest.mark.parametrize(
    ("distances", "more", "said"),
    [
        (DISTANCES[:, :5], {}, "have shape (2, 5), not (2, 6)"),
        (DISTANCES * float("nan"), {}, "hold something that is not a number"),
        ("near", {}, "are no matrix"),
        ({}, {}, "no distances"),
        ({"a": DISTANCES}, {"reranked": {"b": DISTANCES}}, "re-ranked distances of b"),
        (DISTANCES, {"queries": [2]}, "queries must be numbers from 0 to 1"),
    ],
)
def test_what_does_not_fit_gives_a_message(distances, more, said):
    explorer = RetrievalExplorer(distances, WORKED, **more)
    assert said in explorer.message and repr(explorer).startswith("RetrievalExplorer: nothing to show. ")


def test_something_else_than_a_test_of_retrieval_gives_a_message():
    assert "list is no test of retrieval" in RetrievalExplorer(DISTANCES, []).message


def test_a_faulty_ranking_is_named():
    with pytest.raises(ConfigError, match="distances of 'peer 3'"):
        rank("peer 3", DISTANCES[:1], WORKED, 3)


def test_the_bytes_are_small_for_a_whole_test_set():
    found, distances = at_random(0, queries=30, gallery=300)
    explorer = RetrievalExplorer({str(k): distances for k in range(3)}, found)
    assert len(explorer.about["queries"]) <= 24
    total = sum(len(getattr(explorer, name)) for name in ("top", "nearness", "kinds", "hits", "pixels"))
    assert total < 150_000 and len(base64.b64encode(explorer.pixels)) < 1_000_000
