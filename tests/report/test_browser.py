"""The page in a real browser: no errors, nothing cut off, on a phone and on a desk."""

import os
from pathlib import Path

import browser
import pytest
import simulated

from sanity.report.output import files
from sanity.report.report import make


@pytest.fixture(autouse=True)
def _needs_chromium() -> None:
    if browser.PROGRAM is None:
        if os.environ.get("SANITY_REQUIRE_CHROMIUM"):
            pytest.fail("chromium is not installed")
        pytest.skip("needs chromium")


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_a_battery_on_screen(width: int, tmp_path: Path) -> None:
    report = make([simulated.write(tmp_path / "runs", simulated.battery(), epochs=15)])
    page = files.write(report, tmp_path / "page")
    kept = Path(os.environ.get("SANITY_ARTIFACTS") or tmp_path)
    kept.mkdir(parents=True, exist_ok=True)
    screenshot = kept.absolute() / f"report-{width}.png"
    looked = browser.look(page, width, screenshot)

    console = [line for line in looked.log.splitlines() if "CONSOLE" in line]
    assert console == []
    own = {f"/harness-{width}.html", "/report.html", "/favicon.ico"}
    assert set(looked.asked) <= own, "the page asks for nothing else"

    found = looked.found
    assert found["scroll"] <= found["width"], "nothing sticks out sideways"
    assert found["font"].startswith("system-ui"), "the style is in force"
    assert len(found["figures"]) > 8
    for figure in found["figures"]:
        assert figure["left"] >= 0
        assert figure["right"] <= found["width"]
        assert figure["right"] - figure["left"] > 300
        assert figure["height"] > 80
        assert figure["label"]
        # Letters as high as those of small print, at least.
        assert min(figure["texts"]) > 7
    assert "▼ depends" in found["verdicts"]
    is_phone = width < 640
    assert all((content != "none") == is_phone for content in found["labels"])
    assert screenshot.stat().st_size > 50_000
