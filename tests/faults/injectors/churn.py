"""Leaders that do not stay: killed or stopped one after the other; and all members restarted in turn."""

import time


def churn(cluster, seconds, every=2.0, stop=False):
    """Ends the leader every `every` seconds, by kill -9 or by SIGTERM, and starts it again; returns how often."""
    deadline = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < deadline:
        begun = time.monotonic()
        leader = cluster.leader()
        if stop:
            leader.stop()
        else:
            leader.kill9()
        rounds += 1
        leader.start()
        leader.await_ready()
        time.sleep(max(0.0, begun + every - time.monotonic()))
    return rounds


def rolling_restart(cluster):
    """Each member in turn: asked to stop, started again, ready; the leader last. Returns their exit codes."""
    leader = cluster.leader()
    codes = []
    for node in [*cluster.others(leader), leader]:
        codes.append(node.stop())
        node.start()
        node.await_ready()
    return codes
