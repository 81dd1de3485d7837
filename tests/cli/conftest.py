"""A stand-in for the pipeline, so that the command line is tested without captures."""

from __future__ import annotations

import warnings

import pytest

import easpcap.pipeline
from tests.report import builders

with warnings.catch_warnings():  # some versions of typer use what some versions of click call deprecated
    warnings.simplefilter("ignore", DeprecationWarning)
    import typer  # noqa: F401  # loaded here once, so that no test meets the warning


class Pipeline:
    """analyze() that returns what the test wants and records its arguments."""

    def __init__(self) -> None:
        self.analysis = builders.incident()
        self.error: BaseException | None = None
        self.asked: dict = {}

    def analyze(self, paths, **options):
        self.asked = {"paths": list(paths), **options}
        if self.error is not None:
            raise self.error
        return self.analysis


@pytest.fixture
def pipeline(monkeypatch):
    stand_in = Pipeline()
    monkeypatch.setattr(easpcap.pipeline, "analyze", stand_in.analyze)
    monkeypatch.delenv("EASPCAP_PASSWORD", raising=False)
    return stand_in


@pytest.fixture
def easpcap_main(monkeypatch, capfdbinary, tmp_path):
    """Run main() with arguments in tmp_path: (exit status, stdout, stderr)."""
    from easpcap.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, bytes, str]:
        monkeypatch.setattr("sys.argv", ["easpcap", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfdbinary.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), captured.out, captured.err.decode()

    return run
