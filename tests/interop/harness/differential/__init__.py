"""The same script on two servers in lockstep, and every answer compared.

jute        ZooKeeper's encoding: primitive types, both directions
operations  requests as values: what each opcode sends and what its answer holds
connection  one connection of a session: handshake, pipelined requests, messages in order
server      the sessions of one server, and the numbers by which the two servers' ids are matched
znodes      what the generator knows of the tree: which paths exist, and what protects them
choices     paths, data, ACLs and versions to choose from, good and bad ones
requests    single requests by chance
script      the generator: from a seed and the answers so far to the next step
steps       what a step does to a server, and what was seen while it ran
compare     two observations of one step, value by value
known       the differences that are allowed, each by name
lockstep    the run: generate, perform, compare, report
mutants     wrong answers, to prove that a comparison would notice them
"""
