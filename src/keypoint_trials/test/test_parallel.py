"""The same results from one process, several, and a Ray cluster."""

import os

import pytest

from keypoint_trials.parallel import Workers, in_order

JOBS = list(range(12))


def square(number):
    return number * number, os.getpid()


def squares(workers):
    results = list(in_order(square, JOBS, workers))
    assert [value for value, _ in results] == [number * number for number in JOBS]
    return {process for _, process in results}


def test_one_worker_is_this_process():
    assert squares(Workers(1)) == {os.getpid()}


def test_several_workers_are_others():
    assert os.getpid() not in squares(Workers(2))


@pytest.mark.timeout(120)
def test_a_cluster_of_two_machines():
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        processes = squares(Workers(2, cluster.address))
        nodes = [node for node in ray.nodes() if node["Alive"]]
        assert len(nodes) == 2 and os.getpid() not in processes
    finally:
        ray.shutdown()
        cluster.shutdown()
