"""Per session: answers come in the order of the requests, and zxids never go back, also on another node."""

from . import Violation


def check(recorder):
    """Looks at all operations that were answered; returns how many sessions and answers there were."""
    if recorder.violations:
        raise Violation(f"{len(recorder.violations)}: {recorder.violations[:5]}")
    last = {}
    answers = 0
    for operation in recorder.operations:
        if "zxid" not in operation:
            continue
        answers += 1
        session, xid = operation["session"], operation["xid"]
        was_xid, was_zxid, was_write = last.get(session, (0, 0, 0))
        if xid <= was_xid:
            raise Violation(f"session {session:#x}: request {xid} was answered after {was_xid}")
        write = was_write
        for zxid in operation["zxid"]:
            # Errors that are found before the tree is asked have none.
            if 0 < zxid < was_zxid:
                raise Violation(f"session {session:#x}: {zxid} after {was_zxid}: {operation}")
            was_zxid = max(was_zxid, zxid)
        if operation["outcome"] == "ok" and operation["steps"][0]["kind"] != "get":
            write = operation["zxid"][-1]
            if write <= was_write:
                raise Violation(f"session {session:#x}: write {write} after {was_write}")
        last[session] = (xid + len(operation["zxid"]) - 1, was_zxid, write)
    return len(last), answers
