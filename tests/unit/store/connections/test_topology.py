"""What an address says about the servers behind it."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.store.connections.node_request import NodeRequest
from lib.kairo_metrics.store.connections.topology import Topology


def test_one_host_is_one_server() -> None:
    """Nothing for clusters or sentinels is prepared for a plain address."""
    topology = Topology("redis://10.0.0.1:6379", Settings())
    assert (topology.cluster, topology.sentinels) == (None, None)
    assert topology.url_of(None) == "redis://10.0.0.1:6379"


def test_several_hosts_are_a_cluster() -> None:
    """If the first host fails, a batch goes to another one that the address names."""
    topology = Topology("redis://10.0.0.1:6379,10.0.0.2:6379", Settings())
    cluster = topology.cluster
    assert cluster is not None
    assert topology.known_cluster() is cluster
    batch = NodeRequest((("EVALSHA", "0f", 1, "key"),))
    assert cluster.node_of(batch) is None
    cluster.mark_unreachable(None)
    assert cluster.node_of(batch) == ("10.0.0.2", 6379)


@pytest.mark.parametrize("reading", [True, False])
def test_sentinels_are_asked_for_a_replica_by_readers_only(reading: bool) -> None:
    """A writer never gets the address of a replica."""
    topology = Topology("redis+sentinel://10.0.0.1,10.0.0.2/main", Settings(), reading=reading)
    assert topology.cluster is None
    assert topology.sentinels is not None
    assert topology.sentinels.reading is reading
    assert topology.sentinels.hosts == [("10.0.0.1", 26379), ("10.0.0.2", 26379)]
