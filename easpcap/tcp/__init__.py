"""Connections: segments in any order in, ordered bytes of each direction out."""
