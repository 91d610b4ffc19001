"""Threads that do something until told to stop, over sessions that survive what happens to the servers."""

import random
import threading
import time

from .client import Expired, Lost, OutOfOrder, Session

# After a node that did not serve, before the next is tried.
PAUSE = 0.02


class Load:
    """`clients` threads; each has a session and repeats `step`."""

    def __init__(self, recorder, hosts, clients, timeout=10.0, patience=5.0, seed=1):
        self.recorder = recorder
        self.hosts = hosts
        self.failures = []
        self._stop = threading.Event()
        self._threads = []
        for number in range(clients):
            session = Session(hosts, timeout, patience, seed * 1000 + number)
            worker = (number, session, random.Random(seed * 1000 + number))
            self._threads.append(threading.Thread(target=self._run, args=worker, daemon=True))

    def step(self, client, session, chance):
        """One operation, recorded. `Lost` and `Expired` may pass."""
        raise NotImplementedError

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self, timeout=30):
        """Ends after the operations under way. A client that crashed is a failure of the run."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout)
        assert not any(thread.is_alive() for thread in self._threads), "a client hangs"
        assert not self.failures, self.failures

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _run(self, client, session, chance):
        try:
            while not self._stop.is_set():
                try:
                    if session.stream is None:
                        session.connect()
                    self.step(client, session, chance)
                except Lost:
                    time.sleep(PAUSE)
                except Expired:
                    session.forget()
                except OutOfOrder as error:
                    self.recorder.violation(str(error))
                    session.forget()
            session.close()
        except (Lost, Expired):
            pass
        except Exception as error:  # told by `stop`: a client that died silently would prove nothing
            self.failures.append(repr(error))
