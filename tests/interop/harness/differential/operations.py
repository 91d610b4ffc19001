"""Requests as values: what each opcode sends, and what its answer holds."""

from dataclasses import dataclass, field

from .jute import Malformed, Reader, Writer

XID_EVENT = -1
XID_PING = -2
XID_AUTH = -4
XID_SET_WATCHES = -8
# The conventions of clients; everything else is numbered by the script.
RESERVED_XIDS = {
    "ping": XID_PING,
    "auth": XID_AUTH,
    "setWatches": XID_SET_WATCHES,
    "setWatches2": XID_SET_WATCHES,
}

CREATE = "path:string data:buffer acls:acls flags:int"
READ = "path:string watch:bool"
WATCH_LISTS = "since:zxid data:strings exist:strings child:strings"
CREATED = "path:string stat:stat"

# Opcode, fields of the request, fields of the answer.
OPERATIONS = {
    "create": (1, CREATE, "path:string"),
    "delete": (2, "path:string version:int", ""),
    "exists": (3, READ, "stat:stat"),
    "getData": (4, READ, "data:buffer stat:stat"),
    "setData": (5, "path:string data:buffer version:int", "stat:stat"),
    "getACL": (6, "path:string", "acls:acls stat:stat"),
    "setACL": (7, "path:string acls:acls version:int", "stat:stat"),
    "getChildren": (8, READ, "names:strings"),
    "sync": (9, "path:string", "path:string"),
    "ping": (11, "", ""),
    "getChildren2": (12, READ, "names:strings stat:stat"),
    "check": (13, "path:string version:int", ""),
    "multi": (14, "ops:multi", "results:results"),
    "create2": (15, CREATE, CREATED),
    "reconfig": (
        16,
        "joining:string leaving:string members:string from:long",
        "data:buffer stat:stat",
    ),
    "checkWatches": (17, "path:string type:int", ""),
    "removeWatches": (18, "path:string type:int", ""),
    "createContainer": (19, CREATE, CREATED),
    "createTTL": (21, f"{CREATE} ttl:long", CREATED),
    "multiRead": (22, "ops:multi", "results:results"),
    "auth": (100, "type:int scheme:string auth:buffer", ""),
    "setWatches": (101, WATCH_LISTS, ""),
    "sasl": (102, "token:buffer", "token:buffer"),
    "getEphemerals": (103, "path:string", "paths:strings"),
    "getAllChildrenNumber": (104, "path:string", "number:int"),
    "setWatches2": (105, f"{WATCH_LISTS} persistent:strings recursive:strings", ""),
    "addWatch": (106, "path:string mode:int", "code:int"),
    "whoAmI": (107, "", "identities:identities"),
    "closeSession": (-11, "", ""),
    "unknown": (None, "", ""),
}
NAMES = {number: name for name, (number, _, _) in OPERATIONS.items()}
WRITES = frozenset(
    "create create2 createContainer createTTL delete setData setACL multi closeSession".split()
)
# Results of a multi by the type in their header.
RESULTS = {
    1: "path:string",
    2: "",
    4: "data:buffer stat:stat",
    5: "stat:stat",
    8: "names:strings",
    13: "",
    15: CREATED,
    -1: "code:int",
}
END_OF_MULTI = -1


@dataclass
class Op:
    """One request. `cut` bytes are missing at its end, or `extra` follow it."""

    kind: str
    fields: dict = field(default_factory=dict)
    cut: int = 0
    extra: bytes = b""
    opcode: int | None = None

    @property
    def number(self):
        """The opcode it is sent with."""
        return OPERATIONS[self.kind][0] if self.opcode is None else self.opcode

    def is_write(self):
        return self.kind in WRITES

    def paths(self):
        """Every path the request names."""
        if "ops" in self.fields:
            return [path for op in self.fields["ops"] for path in op.paths()]
        return [self.fields["path"]] if "path" in self.fields else []

    def encode(self, zxid):
        """The record's bytes; `zxid` turns the script's name of a zxid into the server's number."""
        body = self._record(zxid) + self.extra
        return body[: len(body) - self.cut] if self.cut else body

    def _record(self, zxid):
        writer = Writer()
        for name, kind in _fields(OPERATIONS[self.kind][1]):
            value = self.fields[name]
            if kind == "multi":
                _write_multi(writer, value, zxid)
            elif kind == "zxid":
                writer.long(zxid(value))
            else:
                getattr(writer, kind)(value)
        return writer.bytes()

    def decode(self, body):
        """The answer's fields by name; what follows them is in `trailing`."""
        reader = Reader(body)
        answer = _read_record(reader, OPERATIONS[self.kind][2])
        if reader.rest():
            answer["trailing"] = reader.rest()
        return answer

    def __str__(self):
        shown = ", ".join(
            f"{name}=[{'; '.join(map(str, value))}]" if name == "ops" else f"{name}={value!r:.120}"
            for name, value in self.fields.items()
        )
        odd = f" cut={self.cut}" * bool(self.cut) + f" extra={self.extra!r}" * bool(self.extra)
        number = "" if self.opcode is None else f" opcode={self.opcode}"
        return f"{self.kind}({shown}){odd}{number}"


def _fields(layout):
    for part in layout.split():
        name, _, kind = part.partition(":")
        yield name, kind


def _write_multi(writer, ops, zxid):
    for op in ops:
        _write_multi_header(writer, op.number, False)
        writer.raw(op.encode(zxid))
    _write_multi_header(writer, END_OF_MULTI, True)


def _write_multi_header(writer, number, is_done):
    writer.int(number)
    writer.bool(is_done)
    writer.int(-1)


def _read_record(reader, layout):
    answer = {}
    for name, kind in _fields(layout):
        answer[name] = _read_results(reader) if kind == "results" else getattr(reader, kind)()
    return answer


def _read_results(reader):
    results = []
    while True:
        number, is_done, code = reader.int(), reader.bool(), reader.int()
        if is_done:
            return results
        if number not in RESULTS:
            raise Malformed(f"a result of type {number}")
        result = _read_record(reader, RESULTS[number])
        results.append({"type": number, "err": code, **result})
