"""What must hold of a history or an ensemble. Each raises `Violation` with the evidence, and has a fault it must catch.

linearizable  an order of all operations exists (tests/linearizability)
serials       every acknowledged create is there on every node, and nothing that nobody asked for
sessions      replies in order; no session ever sees the past, also after moving to another node
ephemerals    an ephemeral is there if and only if its session lives
digests       all members have the same tree
coverage      the faults really happened, and enough was answered while they did
"""


class Violation(AssertionError):
    """A promise is broken."""
