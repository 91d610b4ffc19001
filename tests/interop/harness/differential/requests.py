"""Single requests by chance: about three in four are meant to succeed."""

from collections import defaultdict, deque

from . import choices
from .operations import OPERATIONS, Op
from .znodes import parent

# How often each kind of request is chosen, in relation to the others.
WEIGHTS = {
    "create": 9,
    "create2": 7,
    "createContainer": 3,
    "createTTL": 4,
    "delete": 9,
    "setData": 10,
    "setACL": 3,
    "multi": 8,
    "exists": 8,
    "getData": 9,
    "getACL": 3,
    "getChildren": 6,
    "getChildren2": 5,
    "getAllChildrenNumber": 2,
    "getEphemerals": 2,
    "sync": 2,
    "multiRead": 4,
    "ping": 1,
    "whoAmI": 1,
    "addWatch": 4,
    "removeWatches": 3,
    "checkWatches": 3,
    "setWatches": 1,
    "setWatches2": 3,
    "reconfig": 0.4,
}
IN_MULTI = ("create", "create2", "createContainer", "createTTL", "delete", "setData", "check")
MULTI_WEIGHTS = (4, 5, 2, 2, 4, 5, 4)
# The znodes that the script keeps at once: beyond, it deletes more than it creates.
CROWDED = 160
FLAGS = (0, 1, 2, 3, 4)
FLAG_WEIGHTS = (45, 25, 14, 7, 5)
BAD_FLAGS = (5, 6, 7, 8, -1, 100, 2**31 - 1)
TTL_FLAGS = (5, 6)
GOOD_TTLS_MS = (3_600_000, 2**40 - 1, 86_400_000)
BAD_TTLS_MS = (0, -1, 2**40, 2**62, -(2**63))
BAD_VERSIONS = (0, 1, 7, -2, 2**31 - 1, -(2**31))
ANY = -1


class Requests:
    """Makes requests for a slot from what is known of the tree."""

    def __init__(self, random, znodes, marks):
        self._random = random
        self._znodes = znodes
        # How many zxids of the past can be named; a list that grows elsewhere.
        self._marks = marks
        self._slot = 0
        # By slot, where watches were set last.
        self._armed = defaultdict(lambda: deque(maxlen=8))

    def any(self, slot):
        """A request of any kind by the slot's session."""
        self._slot = slot
        weights = dict(WEIGHTS)
        if len(self._znodes.known) > CROWDED:
            weights["delete"] *= 3
        (kind,) = self._random.choices(list(weights), list(weights.values()))
        op = self.of(kind)
        if self._chance(0.012) and OPERATIONS[kind][1]:
            self._mutilate(op)
        elif self._chance(0.01):
            op.extra = bytes(self._random.randrange(1, 9))
        return op

    def of(self, kind):
        """A request of this kind."""
        if kind in ("exists", "getData", "getChildren", "getChildren2"):
            return self._read(kind)
        if kind.startswith("create"):
            return self._create(kind)
        if kind in ("checkWatches", "removeWatches"):
            return self._unwatch(kind)
        if kind in ("setWatches", "setWatches2"):
            return self._set_watches(kind)
        if kind in ("getACL", "getAllChildrenNumber", "sync"):
            return Op(kind, {"path": self._path()})
        made = getattr(self, f"_{kind}", None)
        return made() if made else Op(kind)

    def forget_watches(self, slot):
        """The slot has a new connection, which knows nothing of the old one's watches."""
        self._armed[slot].clear()

    def quota(self):
        """A request on what a quota counts, or on the quota itself."""
        random, znodes = self._random, self._znodes
        kind = random.choice(("create", "create2", "create", "delete", "setData", "getData"))
        node = random.choice(choices.QUOTA_NODES)
        leaf = random.choice(("/zookeeper_limits", "/zookeeper_stats", "/zookeeper_stats", ""))
        path = node + leaf if self._chance(0.4) else self._under_quota()
        if kind == "delete" and path.startswith("/zookeeper/") and self._chance(0.7):
            kind = "getData"
        if kind == "delete" and not znodes.is_leaf(path):
            path = znodes.leaf(random)
        if kind in ("delete", "getData"):
            op = Op(kind, {"path": path})
            op.fields.update({"version": ANY} if kind == "delete" else {"watch": False})
            return op
        data = bytes(random.choice((0, 1, 5, 20, 60)))
        if leaf == "/zookeeper_limits" and path.endswith(leaf):
            data = random.choice(choices.LIMITS)
        elif leaf == "/zookeeper_stats" and path.endswith(leaf):
            data = choices.NO_STATS
        if kind == "setData":
            if path.endswith("zookeeper_stats"):
                return Op("getData", {"path": path, "watch": False})
            return Op(kind, {"path": path, "data": data, "version": ANY})
        return Op(kind, {"path": path, "data": data, "acls": choices.OPEN, "flags": 0})

    def ephemeral(self, path):
        """Creates an ephemeral znode that everybody may read."""
        return Op("create", {"path": path, "data": b"x", "acls": choices.OPEN, "flags": 1})

    def _chance(self, share):
        return self._random.random() < share

    def _under_quota(self):
        path = self._random.choice(choices.QUOTA_PATHS)
        return path if self._chance(0.3) else f"{path}/{self._random.choice('uvw')}"

    def _path(self):
        """A path to read: mostly one that exists."""
        draw = self._random.random()
        if draw < 0.74:
            return self._znodes.existing(self._random)
        if draw < 0.86:
            return self._znodes.missing(self._random)
        if draw < 0.93:
            return self._random.choice(choices.SPECIAL)
        return self._random.choice(choices.ODD_PATHS)

    def _data(self):
        draw = self._random.random()
        if draw < 0.1:
            return None
        if draw < 0.2:
            return b""
        size = 2_000 if draw > 0.97 else self._random.randrange(1, 40)
        return self._random.randbytes(size)

    def _acls(self):
        draw = self._random.random()
        if draw < 0.8:
            return choices.OPEN
        return self._random.choice(choices.RESTRICTED if draw < 0.92 else choices.INVALID_ACLS)

    def _version(self, known):
        draw = self._random.random()
        if draw < 0.6:
            return ANY
        return known if draw < 0.86 else self._random.choice((known + 1, *BAD_VERSIONS))

    def _create(self, kind):
        znodes, random = self._znodes, self._random
        draw = random.random()
        if draw < 0.74:
            path = znodes.vacant(random)
        elif draw < 0.86:
            path = znodes.existing(random)
        elif draw < 0.91:
            path = znodes.missing(random)
        elif draw < 0.94:
            path = znodes.under_ephemeral(random)
        else:
            path = random.choice(choices.ODD_PATHS + choices.SPECIAL + ("/zookeeper/z",))
        (flags,) = random.choices(FLAGS, FLAG_WEIGHTS)
        if kind == "createContainer":
            flags = 4 if self._chance(0.9) else flags
        elif kind == "createTTL":
            flags = random.choice(TTL_FLAGS) if self._chance(0.9) else flags
        if self._chance(0.03):
            flags = random.choice(BAD_FLAGS)
        if flags in (2, 3, 6) and isinstance(path, str) and self._chance(0.3):
            path = f"{parent(path).rstrip('/')}/"
        if path is None:
            # What is wrong with the rest of the request, ZooKeeper may say first.
            return self._bare_create(kind, path)
        fields = {"path": path, "data": self._data(), "acls": self._acls(), "flags": flags}
        if kind == "createTTL":
            is_bad = flags in TTL_FLAGS and self._chance(0.12)
            fields["ttl"] = random.choice(BAD_TTLS_MS if is_bad else GOOD_TTLS_MS)
        return Op(kind, fields)

    def _bare_create(self, kind, path):
        flags = {"createContainer": 4, "createTTL": TTL_FLAGS[0]}.get(kind, 0)
        fields = {"path": path, "data": b"", "acls": choices.OPEN, "flags": flags}
        return Op(kind, {**fields, **({"ttl": GOOD_TTLS_MS[0]} if kind == "createTTL" else {})})

    def _changed(self):
        """A path to change, and what is known of it."""
        path = self._znodes.existing(self._random) if self._chance(0.85) else self._path()
        path = "" if path is None else path
        return path, self._znodes.known.get(path)

    def _delete(self):
        path = self._znodes.leaf(self._random) if self._chance(0.7) else self._path()
        if choices.is_quota(path) and self._chance(0.85):
            path = self._znodes.missing(self._random)
        known = self._znodes.known.get(path)
        return Op("delete", {"path": path, "version": self._version(known.version if known else 0)})

    def _setData(self):
        path, known = self._changed()
        if isinstance(path, str) and path.startswith("/zookeeper/"):
            path = "/zookeeper"
        version = self._version(known.version if known else 0)
        return Op("setData", {"path": path, "data": self._data(), "version": version})

    def _setACL(self):
        path, known = self._changed()
        acls = choices.OPEN if path in choices.SPECIAL else self._acls()
        if path == "/zookeeper/config":
            path = "/zookeeper"
        version = self._version(known.acl_version if known else 0)
        return Op("setACL", {"path": path, "acls": acls, "version": version})

    def _check(self):
        path, known = self._changed()
        return Op("check", {"path": path, "version": self._version(known.version if known else 0)})

    def _multi(self):
        kinds = self._random.choices(IN_MULTI, MULTI_WEIGHTS, k=self._random.choice((0, 1, 2, 2, 3, 4, 5)))
        ops = [self._hopeful(kind) for kind in kinds]
        if ops and self._chance(0.25):
            ops[self._random.randrange(len(ops))] = self.of(self._random.choice(kinds))
        if self._chance(0.03):
            ops.append(self.of(self._random.choice(("getData", "sync", "setACL", "getChildren"))))
        return Op("multi", {"ops": [op for op in ops if not any(map(choices.is_quota, op.paths()))]})

    def _hopeful(self, kind):
        """A part of a multi that is meant to succeed, for else hardly any multi would."""
        op = self.of(kind)
        fields = op.fields
        if kind.startswith("create"):
            flags = fields["flags"] % 4
            fields.update(self._bare_create(kind, self._znodes.vacant(self._random)).fields)
            fields["flags"] = fields["flags"] or flags
        else:
            fields["version"] = ANY
            leaf = kind == "delete"
            fields["path"] = getattr(self._znodes, "leaf" if leaf else "existing")(self._random)
        return op

    def _multiRead(self):
        kinds = self._random.choices(("getData", "getChildren"), k=self._random.randrange(6))
        ops = [self._read(kind) for kind in kinds]
        if self._chance(0.03):
            ops.append(self.of(self._random.choice(("exists", "getACL", "setData"))))
        return Op("multiRead", {"ops": ops})

    def _read(self, kind):
        path = self._path()
        watch = self._chance(0.45) and choices.watch_area(path) == "one-shot"
        # Since 3.9.2 `exists` needs READ, and one that is refused leaves no watch.
        if kind == "exists" and not self._znodes.is_open(path):
            watch = False
        if watch and path and path[:1] == "/":
            self._armed[self._slot].append(path)
        return Op(kind, {"path": path, "watch": watch})

    def _getEphemerals(self):
        path = self._path()
        prefix = self._random.choice((None, "", "/", "/", "/a", "/b/", path))
        return Op("getEphemerals", {"path": prefix})

    def _reconfig(self):
        return Op("reconfig", {"joining": None, "leaving": "3", "members": None, "from": -1})

    def _watched(self, area):
        """A path on which the script sets this kind of watch."""
        for _ in range(30):
            path = self._path()
            if isinstance(path, str) and path[:1] == "/" and choices.watch_area(path) == area:
                return path
        return {"one-shot": "/a", "persistent": "/p", "recursive": "/r"}[area]

    def _addWatch(self):
        if self._chance(0.08):
            bad = self._random.choice((-1, 2, 3, 100))
            return Op("addWatch", {"path": self._watched("one-shot"), "mode": bad})
        mode = self._random.randrange(2)
        path = self._watched(("persistent", "recursive")[mode])
        self._armed[self._slot].append(path)
        return Op("addWatch", {"path": path, "mode": mode})

    def _unwatch(self, kind):
        if self._chance(0.08):
            bad = self._random.choice((0, -1, 6, 100))
            return Op(kind, {"path": self._watched("one-shot"), "type": bad})
        # Types 4 and 5 are of 3.9; 3 is for all kinds in both.
        armed = self._armed[self._slot]
        path = self._watched("one-shot")
        if armed and self._chance(0.8):
            path = armed.pop() if kind == "removeWatches" else armed[-1]
        type_ = self._random.choice((1, 2, 3, 3)) if choices.watch_area(path) == "one-shot" else 3
        return Op(kind, {"path": path, "type": type_})

    def _set_watches(self, kind):
        draw = self._random.random()
        since = ("number", self._random.choice((0, -1, 2**62)))
        if draw < 0.8 and self._marks:
            recent = range(max(0, len(self._marks) - 300), len(self._marks))
            since = ("mark", self._random.choice(recent))
        lists = {name: self._paths("one-shot") for name in ("data", "exist", "child")}
        if kind == "setWatches2":
            lists |= {name: self._paths(name) for name in ("persistent", "recursive")}
        # config_is_membership: its data changed when the ensemble was founded, or never.
        lists["data"] = [path for path in lists["data"] if path != "/zookeeper/config"]
        return Op(kind, {"since": since, **lists})

    def _paths(self, area):
        return [self._watched(area) for _ in range(self._random.choice((0, 0, 1, 2, 4)))]

    def _mutilate(self, op):
        """Cuts the end of the record off, so that it cannot be read."""
        length = len(op.encode(lambda name: 0))
        op.cut = self._random.randrange(1, min(length, 12) + 1)
