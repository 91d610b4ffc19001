"""Whole trees, as a kazoo client sees them."""


def walk(client, root="/"):
    """Data, stat and ACL of each znode by path, but for /zookeeper and ephemerals."""
    seen = {}
    waiting = [root]
    while waiting:
        # Many at a time: one after the other takes a round trip each.
        batch, waiting = waiting[-200:], waiting[:-200]
        asked = [
            (path, client.get_async(path), client.get_acls_async(path), client.get_children_async(path))
            for path in batch
        ]
        for path, data, acls, children in asked:
            value, stat = data.get(20)
            if stat.ephemeralOwner > 0:
                continue
            seen[path] = (value, stat, sorted(map(str, acls.get(20)[0])))
            below = (f"{path.rstrip('/')}/{name}" for name in children.get(20))
            waiting += [path for path in below if path != "/zookeeper"]
    return seen


def contents(tree):
    """What one client can give another: data and ACLs."""
    return {path: (data, acl) for path, (data, _, acl) in tree.items()}
