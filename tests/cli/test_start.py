"""Starting is fast because nothing is loaded that is not needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

import easpcap
from easpcap.cli.app import build_app
from tests.cli.commands import environment

HEAVY = {"numpy", "scapy", "pyshark", "cryptography", "tabulate", "rich"}


def loaded(program: str) -> set[str]:
    ending = "\nimport sys; sys.stderr.write('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program + ending], capture_output=True, env=environment(), check=True)
    return {name.partition(".")[0] for name in done.stderr.decode().splitlines()[-1].split()}


def test_importing_easpcap_loads_nothing_heavy():
    assert not loaded("import easpcap; easpcap.__version__; dir(easpcap)") & HEAVY


@pytest.mark.parametrize("arguments", ["['--help']", "['inspect', '--help']", "['bogus']", "['--version']"])
def test_help_and_usage_load_nothing_heavy(arguments):
    program = (
        f"import sys; sys.argv[1:] = {arguments}\nfrom easpcap.cli import main\ntry: main()\nexcept SystemExit: pass"
    )
    assert not loaded(program) & HEAVY


def test_only_the_requested_command_is_built():
    names = [command.name for command in build_app(["timeline", "--help"]).registered_commands]
    assert names == ["timeline"]
    assert len(build_app(["--help"]).registered_commands) > 1
    assert len(build_app(["bogus"]).registered_commands) > 1


def test_every_public_name_can_be_imported():
    for name in easpcap.__all__:
        assert getattr(easpcap, name) is not None
    assert set(easpcap.__all__) <= set(dir(easpcap))


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = easpcap.no_such_name
