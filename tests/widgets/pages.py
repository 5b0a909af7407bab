"""Pages that show widgets with no kernel, and their modules asked outside any page."""

import html
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ipywidgets.embed import embed_data
from playwright._impl._driver import compute_driver_executable

HOST = Path(__file__).resolve().parents[2] / "book" / "site" / "_static" / "widgets" / "anywidget-host.js"
MIME = "application/vnd.jupyter.widget-"
PAGE = """<!doctype html>
<html lang="en"{theme}><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Widgets</title>
<style>body {{ margin: 8px; }} html[data-theme=dark] {{ background: #121212; color: #eee; }}</style></head><body>
<main><h1 style="font-size: 1rem">Widgets</h1>{views}</main>{state}<script>{host}</script></body></html>"""
# Reads {code, program, data} and prints what the program, a function body, returns.
ASK = """
const input = JSON.parse(await new Promise((done) => {
  let text = ""; process.stdin.on("data", (part) => (text += part)).on("end", () => done(text));
}));
const widget = await import("data:text/javascript;base64," + Buffer.from(input.code).toString("base64"));
const bytes = (text) => { const b = Uint8Array.from(Buffer.from(text, "base64")); return new DataView(b.buffer); };
const answer = await new Function("widget", "data", "bytes", input.program)(widget, input.data, bytes);
console.log(JSON.stringify(answer, (_, value) => ArrayBuffer.isView(value) ? Array.from(value) : value));
"""


def page(*widgets: Any, theme: str = "") -> str:
    """A self-contained page of widgets; `theme` is "light", "dark" or, as the system has it, empty."""
    data = embed_data(views=list(widgets), drop_defaults=False)
    views = "".join(_script("view", spec) for spec in data["view_specs"])
    return PAGE.format(
        theme=f' data-theme="{html.escape(theme)}"' if theme else "",
        views=views,
        state=_script("state", data["manager_state"]),
        host=HOST.read_text(encoding="utf-8"),
    )


def _script(kind: str, content: Any) -> str:
    text = json.dumps(content).replace("</", "<\\/")  # or a "</script>" in it would end the script
    return f'<script type="{MIME}{kind}+json">{text}</script>'


def node() -> str:
    """Node.js: the system's, or the one that comes with Playwright."""
    return shutil.which("node") or compute_driver_executable()[0]


def ask(widget: Any, program: str, data: Any = None) -> Any:
    """What a function body of JavaScript returns that is given `widget`, the module as shipped, `data` and `bytes`."""
    question = json.dumps({"code": widget._esm, "program": program, "data": data})
    command = [node(), "--input-type=module", "-e", ASK]
    done = subprocess.run(command, input=question, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
