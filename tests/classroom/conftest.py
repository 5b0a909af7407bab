import pytest


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    """No test writes into a learner's file."""
    monkeypatch.setenv("DML_TEACH_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.delenv("DML_TEACH_CHECK_SEED", raising=False)
