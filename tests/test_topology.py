"""Who learns from whom."""

import pytest
import torch

from dml_teach import topology
from dml_teach.errors import ConfigError


def test_mutual_weighs_every_other_peer_alike():
    assert topology.mutual(3).tolist() == [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]


def test_independent_has_no_weights():
    assert topology.independent(2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("teacher", [0, 1, 2])
def test_one_way_makes_everybody_learn_from_the_teacher_who_learns_from_nobody(teacher):
    matrix = topology.one_way(3, teacher)
    for k in range(3):
        assert matrix[k].tolist() == [float(l == teacher and k != teacher) for l in range(3)]


def test_in_a_ring_peer_k_learns_from_peer_k_minus_1():
    matrix = topology.ring(4)
    assert [row.argmax().item() for row in matrix] == [3, 0, 1, 2]
    assert torch.equal(topology.ring(2), topology.mutual(2))


@pytest.mark.parametrize("name", topology.BY_NAME)
@pytest.mark.parametrize("peers", [1, 2, 3, 7])
def test_every_named_topology_is_valid_and_nobody_learns_from_himself(name, peers):
    matrix = topology.validate(topology.by_name(name, peers), peers)
    assert matrix.diagonal().abs().max() == 0
    assert matrix.dtype == torch.float64


def test_a_single_peer_learns_alone_in_every_topology():
    for name in topology.BY_NAME:
        assert topology.by_name(name, 1).tolist() == [[0]]


def test_any_row_stochastic_matrix_is_a_topology():
    assert topology.validate([[0, 0.25, 0.75], [0, 0, 0], [1, 0, 0]], 3).shape == (3, 3)


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        ([[0, 1]], "square"),
        ([0, 1], "square"),
        ([], "square"),
        ([[0, 2], [1, 0]], "row 0 sums to 2"),
        ([[0, 1], [0.4, 0]], "row 1 sums to 0.4"),
        ([[0, -1], [1, 0]], "negative"),
        ([[0, float("nan")], [1, 0]], "non-finite"),
        ([[0, 1, 0], [1, 0, 0], [0, 0, 0]], "for 3 peers"),
        ([["a", "b"], ["c", "d"]], "not a matrix of numbers"),
        ([[0, 1], [1]], "not a matrix of numbers"),
    ],
)
def test_a_matrix_that_is_no_topology_is_refused_with_its_fault(matrix, says):
    with pytest.raises(ConfigError, match=says):
        topology.validate(matrix, 2)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'mutual'"):
        topology.by_name("mutal", 2)


@pytest.mark.parametrize("peers", [0, -1, 1.5, True])
def test_number_of_peers_must_be_a_count(peers):
    with pytest.raises(ConfigError, match="number of peers"):
        topology.mutual(peers)


@pytest.mark.parametrize("teacher", [-1, 2])
def test_teacher_must_be_one_of_the_peers(teacher):
    with pytest.raises(ConfigError, match="teacher"):
        topology.one_way(2, teacher)
