"""A page in headless Chromium: served on loopback, measured at a width, with its console."""

import functools
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")

# A page that holds the other in a frame of a chosen width, and writes down what it measures there.
HARNESS = """<!doctype html><meta charset="utf-8"><title>harness</title>
<iframe src="report.html" style="width: WIDTHpx; height: 900px; border: 0"></iframe>
<pre id="found"></pre>
<script>
document.querySelector("iframe").addEventListener("load", event => {
  const page = event.target.contentDocument;
  const box = one => one.getBoundingClientRect();
  const figures = [...page.querySelectorAll("figure svg")].map(svg => ({
    left: box(svg).left, right: box(svg).right, height: box(svg).height,
    texts: [...svg.querySelectorAll("text")].map(one => box(one).height),
    label: svg.getAttribute("aria-label"),
  }));
  const root = page.documentElement;
  document.getElementById("found").textContent = JSON.stringify({
    figures, width: root.clientWidth, scroll: root.scrollWidth,
    font: page.defaultView.getComputedStyle(page.body).fontFamily,
    labels: [...page.querySelectorAll(".cards td[data-label]")].map(
      one => page.defaultView.getComputedStyle(one, "::before").content),
    verdicts: [...page.querySelectorAll("#verdicts td span")].map(one => one.textContent),
  });
});
</script>
"""


@dataclass(frozen=True)
class Looked:
    """What the browser found: measures, its log, and the paths that it asked for."""

    found: dict[str, Any]
    log: str
    asked: list[str]


def look(page: Path, width: int, screenshot: Path) -> Looked:
    """Open a report ``width`` pixels wide, and leave a picture of it."""
    harness = page.parent / f"harness-{width}.html"
    harness.write_text(HARNESS.replace("WIDTH", str(width)))
    asked: list[str] = []
    with _served(page.parent, asked) as address:
        url = f"{address}/{harness.name}"
        options = ("--dump-dom", "--virtual-time-budget=8000", "--enable-logging=stderr")
        done = _run(*options, f"--window-size={width + 40},1000", url)
        _run(
            *(f"--screenshot={screenshot}", "--hide-scrollbars"),
            *(f"--window-size={width},4500", f"{address}/{page.name}"),
        )
    (text,) = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)
    found = json.loads(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    return Looked(found, done.stderr, asked)


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert PROGRAM is not None
    common = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
    return subprocess.run(
        [PROGRAM, *common, *arguments], capture_output=True, text=True, timeout=120, check=True
    )


@contextmanager
def _served(directory: Path, asked: list[str]) -> Iterator[str]:
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            asked.append(str(args[0]).split(" ")[1])

    handler = functools.partial(Handler, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
