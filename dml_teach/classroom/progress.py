"""What a learner has passed so far, in a small file of their own."""

import json
import os
from pathlib import Path
from typing import Any

from dml_teach.files import write_json

VARIABLE = "DML_TEACH_PROGRESS"


def place() -> Path | None:
    """The file: what DML_TEACH_PROGRESS says, or one in the home folder; None if it says "off"."""
    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() == "off":
        return None
    return Path(chosen) if chosen else Path.home() / ".dml_teach" / "progress.json"


def read() -> dict[str, dict[str, Any]]:
    """task -> {"tries": how many checks, "passed": whether one of them passed}; empty where nothing can be read."""
    path = place()
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {
        task: {"tries": int(entry["tries"]), "passed": bool(entry["passed"])}
        for task, entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("tries"), int) and "passed" in entry
    }


def record(task: str, passed: bool) -> None:
    """Count one more check of a task. A folder that can not be written is no failure: then nothing is kept."""
    path = place()
    if path is None:
        return
    known = read()
    entry = known.get(task, {"tries": 0, "passed": False})
    known[task] = {"tries": entry["tries"] + 1, "passed": entry["passed"] or passed}
    try:
        write_json(path, known)
    except OSError:
        return


def table(tasks: dict[str, list[str]]) -> str:
    """A text table: exercise -> its tasks, each passed, tried so many times, or not yet tried."""
    known, lines = read(), []
    passed = sum(known.get(task, {}).get("passed", False) for names in tasks.values() for task in names)
    lines.append(f"{passed} of {sum(map(len, tasks.values()))} tasks passed")
    for exercise, names in tasks.items():
        for task in names:
            entry = known.get(task)
            tries = f"{entry['tries']} check{'s' if entry['tries'] > 1 else ''}" if entry else ""
            state = "passed" if entry and entry["passed"] else "not yet" if entry else "-"
            lines.append(f"  {exercise}  {task:<32} {state:<8} {tries}".rstrip())
    return "\n".join(lines)
