import shutil

import pytest
from support.browser import require_chromium


def test_without_a_browser_tests_of_pages_are_skipped_but_fail_in_ci(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)

    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs Chromium"):
        require_chromium()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        require_chromium()
