"""Starts a Ray cluster of two nodes with one CPU each, launches a study on it, and prints what became of both."""

import json
import subprocess
import sys

import ray
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
done = subprocess.run(
    [sys.executable, "-m", "study.cli", "launch", sys.argv[1], "--address", cluster.address],
    capture_output=True,
    text=True,
    timeout=500,
)
ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
alive = sum(node["Alive"] for node in ray.nodes())
ray.shutdown()
cluster.shutdown()
print(json.dumps({"launch": done.returncode, "output": done.stdout + done.stderr, "alive_after": alive}))
