"""Asks tshark about captures that a test made."""

from __future__ import annotations

from easpcap.pipeline import analyze
from easpcap.tls.secrets.session_secrets import SessionSecrets
from easpcap.verify.second_opinion import verify
from easpcap.verify.tshark import find_tshark


def verified(*paths, keys=(), key_logs=()):
    """The Verification of captures."""
    paths, secrets = [str(path) for path in paths], SessionSecrets()
    analysis = analyze(
        paths, keys=list(map(str, keys)), key_logs=list(map(str, key_logs)), digest=True, session_secrets=secrets
    )
    return verify(analysis, secrets, find_tshark())


def verified_script(capture, key_log, folder):
    """The Verification of a capture and a key log, given as bytes and text."""
    trace, log = folder / "trace.pcap", folder / "keys.log"
    trace.write_bytes(capture)
    log.write_text(key_log)
    return verified(trace, key_logs=[log])


def results(verification):
    """Result and limitations by (connection, aspect)."""
    return {(each.connection.id, each.aspect): (each.result, *each.limitations) for each in verification.comparisons}


def differences(verification):
    """The results other than agreement."""
    return {key: value for key, value in results(verification).items() if value != ("agreed",)}
