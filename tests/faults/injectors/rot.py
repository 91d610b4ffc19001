"""One bit flipped in what a node that does not run has on its disk.

Knows the bytes of log and snapshot well enough to aim, from `src/ensemble/log/record.rs` and `snapshot/format.rs`:
frames are `length u32, checksum u32, durable u32, kind u8, payload`. What it does not find it does not flip.
"""

import pathlib
import random
import struct

HEADER = 13
CHECKPOINT, ENTRY, VOTE = 1, 2, 3
MAX_RECORD = 8 << 20
TARGETS = ["middle", "length", "vote", "snapshot", "tail"]


class Frame:
    """One record: its file, where it begins, how long it is with its header."""

    def __init__(self, path, offset, length, kind):
        self.path = path
        self.offset = offset
        self.bytes = HEADER + length
        self.kind = kind

    def __repr__(self):
        return f"{self.path.name}+{self.offset} kind {self.kind}"


def segments(data):
    """The log's files under a data directory, oldest first; those without a record are only prepared."""
    return sorted(path for path in pathlib.Path(data).rglob("*.wal") if not _is_aside(path))


def snapshots(data):
    found = pathlib.Path(data).rglob("snap-*")
    return sorted(path for path in found if path.suffix != ".tmp" and not _is_aside(path))


def set_aside(data):
    """The directories of damaged files that the node has given up."""
    return sorted(path for path in pathlib.Path(data).rglob("damaged-*") if path.is_dir())


def _is_aside(path):
    return path.parent.name.startswith("damaged-")


def frames(path):
    """The records of a segment up to where it is still empty."""
    data = path.read_bytes()
    found, offset = [], 0
    while offset + HEADER <= len(data):
        length, _, _, kind = struct.unpack_from("<IIIB", data, offset)
        if kind == 0 or length > MAX_RECORD or offset + HEADER + length > len(data):
            break
        found.append(Frame(path, offset, length, kind))
        offset += HEADER + length
    return found


def flip(path, byte, bit):
    """Flips one bit; done again, it undoes it."""
    with open(path, "r+b") as file:
        file.seek(byte)
        was = file.read(1)[0]
        file.seek(byte)
        file.write(bytes([was ^ 1 << bit]))


def flip_one(data, target, seed):
    """Flips a bit at such a place; returns file, byte and bit, or None if there is no such place."""
    chance = random.Random(seed)
    if target == "snapshot":
        return _anywhere(snapshots(data)[-1:], chance)
    records = [frame for path in segments(data) for frame in frames(path)]
    entries = [frame for frame in records if frame.kind == ENTRY]
    if target == "tail":
        return _in(records[-1:], chance, HEADER)
    if target == "middle":
        return _in(entries[len(entries) // 4 : 3 * len(entries) // 4], chance, HEADER)
    if target == "length":
        return _in(entries[len(entries) // 4 : 3 * len(entries) // 4], chance, 0, 4)
    if target == "vote":
        return _in([frame for frame in records if frame.kind == VOTE], chance, HEADER)
    raise ValueError(target)


def _in(choices, chance, first, behind=None):
    if not choices:
        return None
    frame = chance.choice(choices)
    end = behind if behind is not None else frame.bytes
    if end <= first:  # a record without a payload: its header will do
        first = 0
    byte = frame.offset + chance.randrange(first, end)
    bit = chance.randrange(8)
    flip(frame.path, byte, bit)
    return frame.path, byte, bit


def _anywhere(paths, chance):
    if not paths:
        return None
    byte = chance.randrange(paths[0].stat().st_size)
    bit = chance.randrange(8)
    flip(paths[0], byte, bit)
    return paths[0], byte, bit
