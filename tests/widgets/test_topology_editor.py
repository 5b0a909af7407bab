"""The topology editor: it knows the library's topologies by name, and every click leaves a topology."""

import base64

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_teach import topology
from dml_teach.errors import ConfigError
from dml_teach.widgets import TopologyEditor
from tests.widgets.pages import ask

NAMES = {
    "independent": (topology.independent(3), "independent"),
    "one peer": (topology.mutual(1), "independent"),
    "mutual": (topology.mutual(4), "mutual"),
    "a pair": (topology.mutual(2), "mutual"),
    "ring of two": (topology.ring(2), "mutual"),
    "ring": (topology.ring(5), "ring"),
    "one-way": (topology.one_way(4), "one-way"),
    "another teacher": (topology.one_way(4, teacher=2), "one-way"),
    "one student": (topology.taught(1, 1), "one-way"),
    "taught": (topology.taught(2, 3), "taught"),
    "self-taught": (topology.self_taught(3), "self-taught"),
    "chain": (torch.eye(4, dtype=torch.float64).roll(1, dims=0).tril(), "chain"),
    "something else": (torch.tensor([[0, 0.25, 0.75], [1, 0, 0], [0, 0, 0]], dtype=torch.float64), ""),
    "ring backwards": (topology.ring(4).T, ""),
}


def packed(matrix: torch.Tensor) -> str:
    return base64.b64encode(matrix.double().contiguous().numpy().tobytes()).decode()


def asked(expression: str, matrix: torch.Tensor, **more):
    program = f'const W = widget.decode(bytes(data.matrix), "f8"), K = data.peers; return {expression};'
    return ask(TopologyEditor, program, {"matrix": packed(matrix), "peers": len(matrix), **more})


@pytest.mark.parametrize("case", NAMES)
def test_a_setting_is_known_by_its_name(case):
    matrix, name = NAMES[case]
    assert asked("widget.settingOf(W, K).name", matrix) == name


@pytest.mark.parametrize("name", topology.BY_NAME)
@pytest.mark.parametrize("peers", [1, 2, 3, 7])
def test_the_settings_to_start_from_are_the_librarys(name, peers):
    expected = topology.by_name(name, peers)
    found = asked("widget.setting(data.name, K)", expected, name=name)
    assert found == expected.flatten().tolist()


def click(matrix: torch.Tensor, k: int, l: int) -> torch.Tensor:
    """The slow reference: what a click on "k learns from l" should leave."""
    changed, row = matrix.clone(), matrix[k]
    count = int((row > 0).sum())
    if row[l] > 0:
        changed[k, l] = 0
    else:
        changed[k, l] = 1 / count if count else 1
    total = changed[k].sum()
    if total > 0:
        changed[k] /= total
    return changed


@settings(max_examples=8, deadline=None)
@given(st.integers(2, 6), st.integers(0, 999))
def test_clicks_leave_a_topology_with_the_other_weights_in_proportion(peers, seed):
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.rand(peers, peers, generator=generator, dtype=torch.float64).fill_diagonal_(0)
    matrix *= torch.rand(peers, peers, generator=generator) < 0.6
    matrix = torch.nan_to_num(matrix / matrix.sum(dim=1, keepdim=True))
    pairs = [(k, l) for k in range(peers) for l in range(peers) if k != l]
    found = asked("data.pairs.map(([k, l]) => widget.toggled(W, K, k, l))", matrix, pairs=pairs)
    for (k, l), flat in zip(pairs, found, strict=True):
        after = topology.validate(torch.tensor(flat, dtype=torch.float64).reshape(peers, peers), peers)
        torch.testing.assert_close(after, click(matrix, k, l))


def test_clicking_mutual_learning_together_gives_exactly_the_librarys():
    program = """
    let W = new Float64Array(16);
    for (let k = 0; k < 4; k++) for (let l = 0; l < 4; l++) if (k !== l) W = widget.toggled(W, 4, k, l);
    return W;
    """
    assert ask(TopologyEditor, program) == topology.mutual(4).flatten().tolist()


def test_row_sums_are_the_matrixs():
    matrix = topology.taught(2, 2)
    assert asked("widget.rowSums(W, K)", matrix) == matrix.sum(dim=1).tolist()


@pytest.mark.parametrize(("weight", "text"), [(0, "0"), (1, "1"), (1 / 3, "1/3"), (2 / 3, "2/3"), (0.1234, "0.12")])
def test_weights_are_written_as_one_reads_them(weight, text):
    assert ask(TopologyEditor, "return widget.weightText(data)", weight) == text


def test_the_matrix_comes_back_as_it_went_in():
    for matrix, _ in NAMES.values():
        editor = TopologyEditor(matrix)
        assert torch.equal(editor.matrix, matrix) and editor.matrix.dtype == torch.float64


def test_python_reads_what_the_page_sends():
    editor = TopologyEditor(topology.independent(2))
    editor.set_state({"weights": memoryview(np.array([0.0, 1, 0, 0]).tobytes())})
    assert editor.matrix.tolist() == [[0, 1], [0, 0]]


def test_the_text_form_is_stable():
    assert repr(TopologyEditor(topology.ring(4))) == "TopologyEditor: 4 peers."


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ([[0, 2], [0, 0]], "row 0 sums to 2"),
        ([[1, 2, 3]], "square matrix"),
        ("ring", "not a matrix of numbers"),
        (topology.ring(13), "13 peers do not fit on a circle"),
    ],
)
def test_what_is_no_topology_gives_a_message(matrix, said):
    editor = TopologyEditor(matrix)
    assert said in editor.message
    with pytest.raises(ConfigError, match="the editor has no matrix"):
        _ = editor.matrix
