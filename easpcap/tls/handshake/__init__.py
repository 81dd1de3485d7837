"""Handshake messages, the states of a handshake, and what was negotiated."""
