"""Cipher suites: the IANA registry, and the algorithms and sizes of each suite."""
