"""A headless Chromium, where Playwright and Chromium are installed; pages that complain fail the test."""

import shutil
from contextlib import contextmanager

import pytest

# drawn in software: machines of tests have no graphics
_ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@contextmanager
def browser():
    """A browser, closed at the end; the test is skipped without one."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra browser is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as api:
        opened = api.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield opened
        opened.close()


def open_page(opened, path, width=1280, height=800):
    """A page of a file, and the list that its complaints come into: errors, and requests to a network."""
    page, complaints = opened.new_page(viewport={"width": width, "height": height}), []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
    page.goto(path.resolve().as_uri())
    return page, complaints
