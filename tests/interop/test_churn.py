"""Endpoints register and leave a hundred times a second under load: no request notices."""

import threading
import time

import pytest

from harness import clients, endpoints, traffic
from harness.metrics import quantile

REGISTRATIONS = 1_000
SECONDS = 10
SESSIONS = 4
COMMIT_TO_SWAP = "zoogate_commit_to_swap_seconds"
# From a change being applied to its table being in use.
SWAP_LIMIT = 0.1


def churn(client, share, addresses, problems):
    """Registers and removes `share` endpoints, evenly over the time."""
    start = time.monotonic()
    pause = threading.Event()
    try:
        for number in range(share):
            path = f"/services/web/{client.client_id[0]:x}-{number}"
            address = addresses[number % len(addresses)]
            client.create(path, address.encode(), ephemeral=True)
            client.delete(path)
            pause.wait(max(0, start + (number + 1) * SECONDS / share - time.monotonic()))
    except (
        Exception
    ) as error:  # told by the test, which would else wait for the figures of a dead thread
        problems.append(error)


@pytest.mark.timeout(90)
def test_a_thousand_registrations_and_removals_fail_no_request(ensemble, processes, figure):
    servers = [endpoints.http_endpoint(processes, name) for name in ("red", "green", "blue")]
    clients.register(processes, ensemble.hosts, "web", servers[:1], 10)
    ensemble.await_endpoints("web", ["red"])
    addresses = [server.address for server in servers]
    sessions = [clients.kazoo(processes, ensemble.hosts) for _ in range(SESSIONS)]
    problems = []
    threads = [
        threading.Thread(target=churn, args=(it, REGISTRATIONS // SESSIONS, addresses, problems))
        for it in sessions
    ]
    before = [node.metrics() for node in ensemble.nodes]
    wrk = traffic.Wrk(processes, ensemble.nodes[0].url, SECONDS + 2)
    with traffic.Loads(*(traffic.HttpLoad(n.web, False) for n in ensemble.nodes[1:])) as loads:
        start = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        took = time.monotonic() - start
        assert wrk.is_running(), "the load lasted longer than the churn"
        requests, complaints = wrk.finish()
    after = [node.metrics() for node in ensemble.nodes]

    p99, observed = quantile(0.99, COMMIT_TO_SWAP, before, after)
    median, _ = quantile(0.5, COMMIT_TO_SWAP, before, after)
    swaps = [
        int(new.sum("zoogate_table_swaps_total") - old.sum("zoogate_table_swaps_total"))
        for old, new in zip(before, after, strict=True)
    ]
    figure("registrations and removals", f"{REGISTRATIONS} each in {took:.1f} s")
    figure("requests by wrk", f"{requests}, {complaints or 'none failed'}")
    figure("requests through the other nodes", f"{loads.done}, {len(loads.failures)} failed")
    figure("tables put into use, by node", swaps)
    figure("commit to swap, ms", f"p50 {1000 * median:.3f}, p99 {1000 * p99:.3f} of {observed}")
    assert not problems
    assert took < SECONDS * 1.2
    assert not complaints and requests > 1_000
    loads.assert_flawless(at_least=100)
    assert observed >= 3 * REGISTRATIONS / 10 and min(swaps) > REGISTRATIONS / 10
    assert p99 < SWAP_LIMIT
    ensemble.await_endpoints("web", ["red"])
