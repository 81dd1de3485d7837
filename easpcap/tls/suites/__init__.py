"""Cipher suites: the IANA registry, and what each suite needs to be read."""
