"""What the interop tests are made of: real processes, real clients, and waiting with deadlines.

binary      where zoogate is, and running one of its verbs
processes   programs in sessions of their own, ended by id whatever happens
ensemble    nodes with generated settings, their admin pages, metrics and logs
clients     kazoo, zkCli.sh, registrants and writers as processes of their own
endpoints   HTTP and TCP servers that tell which one they are
traffic     bounded loads over HTTP and TCP, and wrk
metrics     Prometheus' text format, counters and quantiles
reference   Apache ZooKeeper itself
differential  one script on two servers, and every answer compared
wire        bare bytes of the ZooKeeper protocol, for what no real client would send
waiting     `eventually`: conditions instead of sleeps
ports       free ports
"""
