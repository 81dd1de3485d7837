"""Layers: the headers before TCP, one packet at a time, for packets that are not plain Ethernet, IP and TCP.

Each layer is one function or one line of a table (`tables.py`); `walk.py` goes from one to the next.
"""
