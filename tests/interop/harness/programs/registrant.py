"""A process that registers one endpoint: one kazoo session, one ephemeral znode.

    registrant.py HOSTS SERVICE INSTANCE DATA SESSION_TIMEOUT

Says `registered SESSION TIMEOUT_MS` and then each change of the connection's state; `close` on
stdin (or its end) closes the session and says `closed`.
"""

import sys

from kazoo.client import KazooClient


def main():
    hosts, service, instance, data, timeout = sys.argv[1:]
    # As often as this it looks for a server, or its session would be over before it came back.
    retry = {"max_tries": -1, "delay": 0.1, "max_delay": 0.5}
    client = KazooClient(hosts=hosts, timeout=float(timeout), connection_retry=retry)
    client.start(timeout=20)
    client.add_listener(lambda state: print("state", state, flush=True))
    path = f"/services/{service}/{instance}"
    client.create(path, data.encode(), ephemeral=True, makepath=True)
    session, _ = client.client_id
    print("registered", session, client._session_timeout, flush=True)
    sys.stdin.readline()
    client.stop()
    client.close()
    print("closed", flush=True)


main()
