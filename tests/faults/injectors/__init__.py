"""Faults that really happen, one module each. All is named after the run that made it, and goes with it.

scope       names, finalizers, and the sweep that removes what dead runs have left
system      commands of the system, and what is not permitted here
network     who hears whom: namespaces with a bridge, or proxies; one interface
namespaces  the first of them: iptables in the receiver's namespace
proxies     the second: TCP relays that can fall silent in one direction
processes   kill -9, SIGSTOP for a time
disks       ext4 in a loop image: frozen, full, and the power cut
slow        fewer writes per second by cgroup v1 (blkio.throttle)
failing     a disk whose fsync fails: ext4 in an image on a tmpfs that is too small
rot         one bit flipped: log tail, middle record, length field, vote, snapshot
clocks      wall clock jumps, and Instants as well if wanted, by libfaketime
membership  members added and removed under load, by ZooKeeper's reconfig
churn       the leader killed or stopped again and again; rolling restarts
"""
