"""Rows are brought together by flow, whatever the hash says."""

from __future__ import annotations

import random

import numpy as np
import pytest

from easpcap.tcp import flows as module
from easpcap.tcp.flows import end_of, group_by_flow
from tests.support.batches import Packet, address, batch

NARROW = [("10.0.0.1", 1), ("10.0.0.1", 2), ("10.0.0.2", 1), ("9.255.255.255", 65535)]
WIDE = [*NARROW, ("fe80::1", 443), ("fe80::1:0:0", 443), ("::1", 80)]


def end(host: tuple[str, int]) -> int:
    return end_of(*address(host[0]), host[1])


@pytest.mark.parametrize("collide", [False, True], ids=["hashed", "all hashes alike"])
@pytest.mark.parametrize("hosts", [NARROW, WIDE], ids=["version 4", "both versions"])
def test_rows_of_a_flow_are_grouped_in_capture_order(hosts, collide, monkeypatch):
    if collide:
        monkeypatch.setattr(module, "_MIX", np.uint64(0))
    dice = random.Random(7)
    packets = [Packet(*dice.sample(hosts, 2)) for _ in range(300)]
    flows = group_by_flow(batch(packets))
    assert sorted(flows.order.tolist()) == list(range(300))
    assert len(set(flows.keys)) == len(flows.keys) == len(hosts) * (len(hosts) - 1) // 2
    for number, key in enumerate(flows.keys):
        rows = flows.order[flows.starts[number] : flows.starts[number + 1]].tolist()
        assert rows == sorted(rows)
        for place, row in enumerate(rows, int(flows.starts[number])):
            source, target = end(packets[row].src), end(packets[row].dst)
            assert key == (min(source, target), max(source, target))
            assert (flows.side[place], flows.flow[place]) == (source > target, number)
    first_rows = flows.order[flows.starts[:-1]].tolist()
    assert first_rows == sorted(first_rows)
