"""What clients did and were told, with times of one monotonic clock.

client     a session over the bare protocol: reconnects, moves between nodes, gives up after a time
load       threads that do something until they are told to stop
recorder   operations as dictionaries, one JSON object per line
registers  sets, CAS, multi, sync+get, create and delete: material for the linearizability checker
serials    unique znodes, many outstanding: material for the search for lost acknowledgements
bulk       large values, to use up a disk
presence   sessions with an ephemeral each: kept, closed, abandoned
"""
