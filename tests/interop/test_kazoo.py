"""kazoo, unmodified: transactions, ACLs, watches and recipes, over several nodes."""

import threading

import pytest
from kazoo.exceptions import (
    BadVersionError,
    InvalidACLError,
    NodeExistsError,
    NoNodeError,
    RolledBackError,
)
from kazoo.security import CREATOR_ALL_ACL, make_digest_acl

from harness import clients
from harness.waiting import eventually


@pytest.fixture
def both(shared, processes):
    """Two sessions on two nodes, and a znode for the test that is gone afterwards."""
    first = clients.kazoo(processes, shared.nodes[0].hosts)
    second = clients.kazoo(processes, shared.nodes[1].hosts)
    first.create("/kazoo")
    yield first, second
    first.delete("/kazoo", recursive=True)


def test_transaction_is_done_whole_or_not_at_all(both):
    first, second = both
    transaction = first.transaction()
    transaction.create("/kazoo/a", b"1")
    transaction.set_data("/kazoo/a", b"2")
    transaction.check("/kazoo/a", version=1)
    created, stat, checked = transaction.commit()
    assert (created, stat.version, checked) == ("/kazoo/a", 1, True)

    transaction = first.transaction()
    transaction.create("/kazoo/b")
    transaction.check("/kazoo/a", version=7)
    transaction.delete("/kazoo/a")
    results = transaction.commit()
    kinds = [type(result) for result in results]
    assert kinds[:2] == [RolledBackError, BadVersionError], results
    second.sync("/kazoo")
    assert second.get_children("/kazoo") == ["a"]
    assert second.get("/kazoo/a")[0] == b"2"


def test_acl_of_the_creator_names_who_proved_what(both):
    first, _ = both
    with pytest.raises(InvalidACLError):
        first.create("/kazoo/nobody", acl=CREATOR_ALL_ACL)
    first.add_auth("digest", "ann:secret")
    first.create("/kazoo/hers", acl=CREATOR_ALL_ACL)
    (entry,), stat = first.get_acls("/kazoo/hers")
    assert entry == make_digest_acl("ann", "secret", all=True)
    assert stat.aversion == 0


def test_errors_are_those_of_zookeeper(both):
    first, _ = both
    with pytest.raises(NodeExistsError):
        first.create("/kazoo")
    with pytest.raises(NoNodeError):
        first.create("/kazoo/x/y")
    with pytest.raises(BadVersionError):
        first.set("/kazoo", b"x", version=5)


def test_children_watch_hears_of_changes_made_through_another_node(both):
    first, second = both
    seen = []
    first.ChildrenWatch("/kazoo", lambda children: seen.append(sorted(children)))
    second.create("/kazoo/one")
    eventually(lambda: ["one"] in seen, what="the first child is seen")
    second.create("/kazoo/two")
    eventually(lambda: ["one", "two"] in seen, what="the second child is seen")


def test_lock_lets_one_holder_in_at_a_time(both):
    holders, most, done = 0, 0, []
    guard = threading.Lock()

    def work(client, name):
        nonlocal holders, most
        for _ in range(10):
            with client.Lock("/kazoo/lock", name):
                with guard:
                    holders += 1
                    most = max(most, holders)
                with guard:
                    holders -= 1
        done.append(name)

    threads = [
        threading.Thread(target=work, args=(client, name))
        for client, name in zip(both, ("first", "second"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(done) == ["first", "second"]
    assert most == 1


def test_counter_loses_no_increment(both):
    def count(client):
        counter = client.Counter("/kazoo/counter")
        for _ in range(20):
            counter += 1

    threads = [threading.Thread(target=count, args=(client,)) for client in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    both[0].sync("/kazoo/counter")
    assert both[0].Counter("/kazoo/counter").value == 40
