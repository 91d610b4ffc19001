"""Paths, data, ACLs and versions to choose from, good and bad ones."""

import base64
import hashlib
import zlib

ALL = 31
READ = 1

# Four levels, wide at the top: most operations meet a path that another one has touched.
NAMES = (("a", "b", "c", "d"), ("x", "y", "ü"), ("m", "n", "o"), ("k", "l"))

ODD_PATHS = (
    "",
    "a",
    "a/x",
    "/a/",
    "//",
    "/a//x",
    "/a/./x",
    "/a/../b",
    "/.",
    "/..",
    "/a/..",
    "/a\0b",
    "/a/\0",
    "/a\x01",
    "/a/\x1f",
    "/a\x7f",
    "/a/\x9f",
    "/a/\ue000",
    "/a/\uf8ff",
    "/a/\ufff0",
    "/a/\uffff",
    "/a/\U0001f600",
    b"/a/\xff\xfe",
    b"/\xc3",
    "/a b",
    "/...",
    "/a/x.y",
    "/é",
    None,
)
SPECIAL = ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config")


def digest(user, password):
    """The id of a digest ACL entry."""
    secret = hashlib.sha1(f"{user}:{password}".encode()).digest()
    return f"{user}:{base64.b64encode(secret).decode()}"


USERS = {"alice": "secret", "bob": "hunter2", "carol": ""}
SUPER = ("super", "master key")
OPEN = [[ALL, "world", "anyone"]]

# What protects a znode from somebody, but not from everybody.
RESTRICTED = (
    [[READ, "world", "anyone"]],
    [[READ | 4, "world", "anyone"], [ALL, "digest", digest("alice", "secret")]],
    [[ALL, "digest", digest("alice", "secret")]],
    [[ALL, "digest", digest("bob", "hunter2")], [16, "world", "anyone"]],
    [[3, "digest", digest("bob", "hunter2")], [28, "ip", "127.0.0.1"]],
    [[ALL, "auth", ""]],
    [[READ, "auth", "ignored"], [ALL, "digest", digest("carol", "")]],
    [[ALL, "ip", "127.0.0.0/8"]],
    [[ALL, "ip", "10.1.2.3"], [READ, "world", "anyone"]],
    [[0, "world", "anyone"]],
    [[30, "world", "anyone"]],
    [[READ, "world", "anyone"], [READ, "world", "anyone"], [2, "world", "anyone"]],
    [[0x7F, "world", "anyone"]],
    [[-1, "world", "anyone"]],
)
INVALID_ACLS = (
    [],
    None,
    [[ALL, "world", "nobody"]],
    [[ALL, "unknown", "x"]],
    [[ALL, "", ""]],
    [[ALL, None, "x"]],
    [[ALL, "digest", "nocolon"]],
    [[ALL, "digest", "a:b:c"]],
    [[ALL, "digest", ""]],
    [[ALL, "ip", "300.1.1.1"]],
    [[ALL, "ip", "127.0.0.1/33"]],
    [[ALL, "ip", "127.0.0.1/-1"]],
    [[ALL, "ip", "host"]],
    [[ALL, "sasl", "somebody"]],
    [[ALL, "world", "anyone"], [ALL, "world", "nobody"]],
)

# Digests that everybody may have, some of them more than once.
AUTHS = [("digest", f"{user}:{password}".encode()) for user, password in USERS.items()]
ODD_AUTHS = (("digest", b"nocolon"), ("digest", b""), ("digest", b"a:b:c"), ("ip", b"10.1.2.3"))
REFUSED_AUTHS = (("world", b"anyone"), ("nobody", b"x"), ("", b""))

QUOTA_ROOT = "/q"
QUOTA_PATHS = ("/q", "/q/one", "/q/one/two", "/q/three")
QUOTA_NODES = tuple(f"/zookeeper/quota{path}" for path in QUOTA_PATHS)
LIMITS = (
    b"count=3,bytes=-1",
    b"count=-1,bytes=40",
    b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=4",
    b"count=-1,bytes=-1=;byteHardLimit=60;countHardLimit=-1",
    b"count=2,bytes=10=;byteHardLimit=90;countHardLimit=6",
    b"count=1000,bytes=100000",
)
NO_STATS = b"count=0,bytes=0"


def pool():
    """Every path that plain names make."""
    paths, parents = [], [""]
    for names in NAMES:
        parents = [f"{parent}/{name}" for parent in parents for name in names]
        paths += parents
    return paths


def is_quota(path):
    """Whether a quota counts the path or is kept at it: only one such write is under way at a time."""
    text = path if isinstance(path, str) else ""
    return f"{text}/".startswith(("/q/", "/zookeeper/quota/"))


def watch_area(path):
    """Which kind of watch the script sets on a path.

    One kind for each: before 3.9 a second kind on the same path replaces the first (ZOOKEEPER-4466).
    """
    data = path if isinstance(path, bytes) else (path or "").encode()
    return ("one-shot", "one-shot", "persistent", "recursive")[zlib.crc32(data) % 4]
