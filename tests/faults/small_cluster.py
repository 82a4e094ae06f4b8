"""Starts a Ray cluster of two nodes with one CPU each, prints its address, and keeps it until killed."""

import json
import signal

from ray.cluster_utils import Cluster

# A node that does not answer is given up after 10 checks of a second: soon, and not for want of a busy CPU.
CHECKS = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 10,
}

head = {"num_cpus": 1, "include_dashboard": False, "_system_config": CHECKS}
cluster = Cluster(initialize_head=True, head_node_args=head)
other = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
raylet = other.all_processes["raylet"][0].process.pid
print(json.dumps({"address": cluster.address, "other_raylet": raylet}), flush=True)
signal.pause()
