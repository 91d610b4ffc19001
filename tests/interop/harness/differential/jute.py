"""Jute, the encoding of ZooKeeper's records: big-endian, lengths in front, -1 for what is absent."""

import struct

STAT_FIELDS = (
    "czxid mzxid ctime mtime version cversion aversion owner length children pzxid".split()
)
STAT = struct.Struct(">qqqqiiiqiiq")


class Malformed(Exception):
    """An answer that does not have the shape its request calls for."""


class Writer:
    """Bytes of a record, field by field. Each method is named as the type it writes."""

    def __init__(self):
        self._parts = []

    def bytes(self):
        return b"".join(self._parts)

    def raw(self, data):
        self._parts.append(data)

    def bool(self, value):
        self._parts.append(b"\1" if value else b"\0")

    def int(self, value):
        self._parts.append(struct.pack(">i", value))

    def long(self, value):
        self._parts.append(struct.pack(">q", value))

    def buffer(self, value):
        if value is None:
            self.int(-1)
        else:
            self.int(len(value))
            self._parts.append(value)

    def string(self, value):
        """Text, or bytes as they are: a path need not be UTF-8."""
        self.buffer(value.encode() if isinstance(value, str) else value)

    def strings(self, values):
        self._vector(values, self.string)

    def acls(self, values):
        self._vector(values, self._acl)

    def _acl(self, entry):
        permissions, scheme, name = entry
        self.int(permissions)
        self.string(scheme)
        self.string(name)

    def _vector(self, values, write):
        if values is None:
            self.int(-1)
            return
        self.int(len(values))
        for value in values:
            write(value)


class Reader:
    """Fields of a record in order. Each method is named as the type it reads."""

    def __init__(self, data):
        self._data = data
        self._at = 0

    def rest(self):
        """What has not been read."""
        return self._data[self._at :]

    def _take(self, count):
        taken = self._data[self._at : self._at + count]
        if count < 0 or len(taken) < count:
            raise Malformed(f"{count} bytes wanted, {len(taken)} there")
        self._at += count
        return taken

    def bool(self):
        return self._take(1) != b"\0"

    def int(self):
        return struct.unpack(">i", self._take(4))[0]

    def long(self):
        return struct.unpack(">q", self._take(8))[0]

    def buffer(self):
        length = self.int()
        return None if length == -1 else self._take(length)

    def string(self):
        """Text. ZooKeeper sends a character beyond U+FFFF as two surrogates of three bytes each."""
        data = self.buffer()
        if data is None:
            return None
        try:
            utf16 = data.decode(errors="surrogatepass").encode("utf-16", "surrogatepass")
            return utf16.decode("utf-16")
        except UnicodeError:
            return data.decode(errors="backslashreplace")

    def strings(self):
        return self._vector(self.string)

    def acls(self):
        return self._vector(lambda: [self.int(), self.string(), self.string()])

    def identities(self):
        return self._vector(lambda: [self.string(), self.string()])

    def stat(self):
        return dict(zip(STAT_FIELDS, STAT.unpack(self._take(STAT.size))))

    def _vector(self, read):
        count = self.int()
        if count == -1:
            return None
        if not 0 <= count <= len(self._data):
            raise Malformed(f"a vector of {count}")
        return [read() for _ in range(count)]
