//! What a running node cannot change: who it is, with whom it agrees, and where the control plane listens.
//!
//! Listeners, rules and services change live. The rest was handed to sockets, threads and files at start. A file that
//! changes any of it is refused as a whole: half a reload would leave a node that agrees with no file.

use super::{
    AdminConfig, Config, EnsembleConfig, ListenerConfig, ListenerSocket, NodeConfig,
    ZookeeperConfig,
};
use std::fmt::Debug;

impl Config {
    /// A sentence for each thing that `new` changes and that needs a restart; empty if `new` can take the place of
    /// this configuration while traffic flows.
    pub fn reload_conflicts(&self, new: &Config) -> Vec<String> {
        let mut conflicts = Conflicts::default();
        conflicts.in_node(&self.node, &new.node);
        conflicts.in_ensemble(self.ensemble.as_ref(), new.ensemble.as_ref());
        conflicts.in_zookeeper(&self.zookeeper, &new.zookeeper);
        conflicts.in_admin(&self.admin, &new.admin);
        conflicts.in_listeners(&self.listeners, &new.listeners);
        conflicts.sentences
    }
}

#[derive(Default)]
struct Conflicts {
    sentences: Vec<String>,
}

// Each section is taken apart without `..`, so that a new field does not compile until someone decides about it.
impl Conflicts {
    fn compare<T: PartialEq + Debug>(&mut self, what: &str, old: &T, new: &T) {
        if old != new {
            self.sentences.push(format!(
                "{what} cannot change while running: it is {old:?}, the file says {new:?}"
            ));
        }
    }

    fn in_node(&mut self, old: &NodeConfig, new: &NodeConfig) {
        let NodeConfig {
            name,
            zone,
            data_dir,
            workers,
            source_addresses,
            reserved_descriptors,
            access_log,
        } = old;
        self.compare("node.name", name, &new.name);
        let zone_or_none = |zone: &Option<String>| zone.clone().unwrap_or("none".to_owned());
        self.compare("node.zone", &zone_or_none(zone), &zone_or_none(&new.zone));
        self.compare("node.data_dir", data_dir, &new.data_dir);
        self.compare("node.workers", workers, &new.workers);
        self.compare("node.access_log", access_log, &new.access_log);
        let (sources, reserved) = (&new.source_addresses, &new.reserved_descriptors);
        self.compare("node.source_addresses", source_addresses, sources);
        self.compare("node.reserved_descriptors", reserved_descriptors, reserved);
    }

    fn in_ensemble(&mut self, old: Option<&EnsembleConfig>, new: Option<&EnsembleConfig>) {
        let (old, new) = match (old, new) {
            (None, None) => return,
            (Some(old), Some(new)) => (old, new),
            (None, Some(_)) => {
                let sentence =
                    "[ensemble] cannot be added while running: this node is an ensemble of one";
                return self.sentences.push(sentence.to_owned());
            }
            (Some(_), None) => {
                let sentence = "[ensemble] cannot be removed while running";
                return self.sentences.push(sentence.to_owned());
            }
        };
        let EnsembleConfig {
            listen,
            members,
            join,
            token_file,
            advertise,
            observer,
            heartbeat,
            tls,
            insecure,
        } = old;
        self.compare("ensemble.listen", listen, &new.listen);
        self.compare("ensemble.members", members, &new.members);
        self.compare("ensemble.join", join, &new.join);
        self.compare("ensemble.token_file", token_file, &new.token_file);
        self.compare("ensemble.advertise", advertise, &new.advertise);
        self.compare("ensemble.observer", observer, &new.observer);
        self.compare("ensemble.heartbeat", heartbeat, &new.heartbeat);
        self.compare("ensemble.tls", tls, &new.tls);
        self.compare("ensemble.insecure", insecure, &new.insecure);
    }

    fn in_zookeeper(&mut self, old: &ZookeeperConfig, new: &ZookeeperConfig) {
        let ZookeeperConfig {
            listen,
            tick_time,
            session_timeout_min: min,
            session_timeout_max: max,
            advertise,
            four_letter_words,
            super_digest,
            read_only,
            reconfig,
            reap_interval,
            fresh_acl,
            tls,
            insecure,
        } = old;
        self.compare("zookeeper.listen", listen, &new.listen);
        self.compare("zookeeper.tick_time", tick_time, &new.tick_time);
        self.compare(
            "zookeeper.session_timeout.min",
            min,
            &new.session_timeout_min,
        );
        self.compare(
            "zookeeper.session_timeout.max",
            max,
            &new.session_timeout_max,
        );
        self.compare("zookeeper.advertise", advertise, &new.advertise);
        self.compare(
            "zookeeper.four_letter_words",
            four_letter_words,
            &new.four_letter_words,
        );
        // Not shown: a hash of a password is something to guess from.
        if *super_digest != new.super_digest {
            let sentence = "zookeeper.super_digest cannot change while running";
            self.sentences.push(sentence.to_owned());
        }
        self.compare("zookeeper.read_only", read_only, &new.read_only);
        self.compare("zookeeper.reconfig", reconfig, &new.reconfig);
        self.compare("zookeeper.reap_interval", reap_interval, &new.reap_interval);
        self.compare("zookeeper.fresh_acl", fresh_acl, &new.fresh_acl);
        self.compare("zookeeper.tls", tls, &new.tls);
        self.compare("zookeeper.insecure", insecure, &new.insecure);
    }

    fn in_admin(&mut self, old: &AdminConfig, new: &AdminConfig) {
        let AdminConfig {
            listen,
            token_file,
            tls,
            insecure,
        } = old;
        self.compare("admin.token_file", token_file, &new.token_file);
        self.compare("admin.listen", listen, &new.listen);
        self.compare("admin.tls", tls, &new.tls);
        self.compare("admin.insecure", insecure, &new.insecure);
    }

    fn in_listeners(&mut self, old: &[ListenerConfig], new: &[ListenerConfig]) {
        for new in new {
            let same_address = |old: &&ListenerConfig| {
                old.bind == new.bind && (old.bind.port() != 0 || old.name == new.name)
            };
            if let Some(old) = old.iter().find(same_address) {
                self.in_buffer(&new.name, "receive_buffer", old.socket, new.socket, |s| {
                    s.receive_buffer
                });
                self.in_buffer(&new.name, "send_buffer", old.socket, new.socket, |s| {
                    s.send_buffer
                });
            }
        }
    }

    /// The kernel takes a size back from no socket.
    fn in_buffer(
        &mut self,
        listener: &str,
        key: &str,
        old: ListenerSocket,
        new: ListenerSocket,
        size: impl Fn(ListenerSocket) -> usize,
    ) {
        if size(old) > 0 && size(new) == 0 {
            self.sentences.push(format!(
                "{key} of listener {listener:?} cannot be left to the kernel again while running: it is {}",
                size(old)
            ));
        }
    }
}
