"""Two tiny pairs of peers, alone and together, of two seeds each."""

import pytest

from dml_teach import topology
from dml_teach.recipes import Recipe
from dml_teach.trainer import fit
from tests.conftest import striped


@pytest.fixture(scope="package")
def groups(tmp_path_factory):
    out, recipe = tmp_path_factory.mktemp("runs"), Recipe("test", 3, 20, 0.05, probe_images=30)
    return {
        label: [
            fit(
                ["small"] * 2,
                matrix,
                striped(90, 1),
                striped(45, 2),
                recipe,
                seed=s,
                out=out / f"{label}{s}",
                progress=False,
            )
            for s in (0, 1)
        ]
        for label, matrix in {"alone": topology.independent(2), "together": topology.mutual(2)}.items()
    }
