"""What the generator knows of the tree: which paths exist, who owns them, what protects them.

Learned from the answers of the reference, so that most operations can be made to hit something. It
need not be exact: a wrong guess only turns a success of the script into an error case.
"""

from dataclasses import dataclass

from .choices import OPEN, SPECIAL, pool


@dataclass
class Znode:
    version: int = 0
    acl_version: int = 0
    owner: int = 0
    is_open: bool = True


def parent(path):
    return path.rpartition("/")[0] or "/"


class Znodes:
    """The paths that exist. Not among them: `/` and what ZooKeeper keeps for itself."""

    def __init__(self):
        self.known = {}
        self._children = {}
        self._pool = pool()

    def __contains__(self, path):
        return path in self.known or path in SPECIAL

    def is_leaf(self, path):
        return not self._children.get(path)

    def is_open(self, path):
        """Whether everybody may do everything with the path, or it is not there."""
        return path not in self.known or self.known[path].is_open

    def existing(self, random):
        """A path that exists."""
        return random.choice(list(self.known)) if self.known else "/a"

    def leaf(self, random):
        """A path without children, if one is found soon."""
        for _ in range(12):
            path = self.existing(random)
            if self.is_leaf(path):
                break
        return path

    def vacant(self, random):
        """A path that could be created."""
        for _ in range(40):
            path = random.choice(self._pool)
            above = parent(path)
            can_have = above == "/" or (above in self.known and not self.known[above].owner)
            if path not in self.known and can_have:
                break
        return path

    def missing(self, random):
        """A path that does not exist, whether its parent does or not."""
        for _ in range(40):
            path = random.choice(self._pool)
            if path not in self.known:
                break
        return path

    def under_ephemeral(self, random):
        """A path whose parent may not have it."""
        owners = [path for path, znode in self.known.items() if znode.owner]
        return f"{random.choice(owners)}/z" if owners else "/none/z"

    def created(self, path, acl, owner):
        if path in SPECIAL:
            return
        self.known[path] = Znode(owner=owner, is_open=acl == OPEN)
        self._children.setdefault(parent(path), set()).add(path)

    def deleted(self, path):
        if self.known.pop(path, None) is not None:
            self._children[parent(path)].discard(path)

    def session_ended(self, number):
        """Forgets the session's ephemeral znodes."""
        for path in [path for path, znode in self.known.items() if znode.owner == number]:
            self.deleted(path)

    def learn(self, op, answer, session):
        """What a request of the session with this number, which succeeded, has changed."""
        path = op.fields.get("path")
        stat = answer.get("stat", {})
        if op.kind.startswith("create"):
            owner = session if op.fields["flags"] in (1, 3) else 0
            self.created(answer["path"], op.fields["acls"], owner)
        elif op.kind == "delete":
            self.deleted(path)
        elif path in self.known and op.kind in ("setData", "setACL"):
            self.known[path].version = stat["version"]
            self.known[path].acl_version = stat["aversion"]
            if op.kind == "setACL":
                self.known[path].is_open = op.fields["acls"] == OPEN
        elif op.kind == "multi":
            self._learn_multi(op, answer, session)

    def _learn_multi(self, op, answer, session):
        results = answer["results"]
        if all(result["type"] != -1 for result in results):
            for part, result in zip(op.fields["ops"], results):
                self.learn(part, result, session)
