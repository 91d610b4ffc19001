//! A command of a transcript, taken apart.
//!
//! `create /a data=x ephemeral by s1@3` has the verb `create`, the argument `/a`, the flag `ephemeral`, the
//! option `data` and the actor `s1`, seen through its attachment 3.

use zoogate::tree::{Acl, CreateMode, Lifetime, Op};

/// The words of one command.
pub(super) struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a str) -> Words<'a> {
        Words(line.split_whitespace().collect())
    }

    pub(super) fn verb(&self) -> &'a str {
        self.0[0]
    }

    /// The word after the verb.
    pub(super) fn argument(&self) -> &'a str {
        match self.0.get(1) {
            Some(&"''") => "",
            Some(word) => word,
            None => panic!("{:?} needs an argument", self.0),
        }
    }

    pub(super) fn has(&self, flag: &str) -> bool {
        self.0.contains(&flag)
    }

    pub(super) fn option(&self, name: &str) -> Option<&'a str> {
        let mut words = self.0.iter();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        let parse = |text: &str| text.parse().ok();
        let number = |text| parse(text).unwrap_or_else(|| panic!("{name}={text} is no number"));
        self.option(name).map(number)
    }

    /// The words after the verb that have an equals sign, taken apart there.
    pub(super) fn options(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let options = self.0[1..].iter();
        options.filter_map(|word| word.split_once('='))
    }

    /// The word after `by`: who acts, if not the ensemble.
    pub(super) fn by(&self) -> Option<&'a str> {
        let at = self.0.iter().position(|word| *word == "by")?;
        self.0.get(at + 1).copied()
    }

    /// The operation these words describe, if they do.
    pub(super) fn op(&self) -> Option<Op> {
        let path = || self.argument().into();
        let version = || self.number("version").unwrap_or(-1);
        let data = || match self.has("null") {
            true => None,
            false => Some(self.option("data").unwrap_or_default().to_owned().into()),
        };
        Some(match self.verb() {
            "create" => Op::Create {
                path: path(),
                data: data(),
                acl: self.acl(),
                mode: CreateMode {
                    lifetime: self.lifetime(),
                    sequential: self.has("sequential"),
                },
            },
            "delete" => Op::Delete {
                path: path(),
                version: version(),
            },
            "set" => Op::SetData {
                path: path(),
                data: data(),
                version: version(),
            },
            "setacl" => Op::SetAcl {
                path: path(),
                acl: self.acl(),
                version: version(),
            },
            "check" => Op::Check {
                path: path(),
                version: version(),
            },
            _ => return None,
        })
    }

    /// `ephemeral`, `container` or `ttl=MILLISECONDS`, else persistent.
    fn lifetime(&self) -> Lifetime {
        match self.number("ttl") {
            Some(ms) => Lifetime::Ttl(ms),
            None if self.has("ephemeral") => Lifetime::Ephemeral,
            None if self.has("container") => Lifetime::Container,
            None => Lifetime::Persistent,
        }
    }

    /// `acl=31:world:anyone,1:digest:bob:hash`; open if not given, empty if nothing follows the sign.
    fn acl(&self) -> Vec<Acl> {
        let Some(list) = self.option("acl") else {
            return Acl::open();
        };
        let entries = list.split(',').filter(|entry| !entry.is_empty());
        entries
            .map(|entry| {
                let mut parts = entry.splitn(3, ':');
                let mut part = || parts.next().expect("perms:scheme:id").to_owned();
                Acl {
                    perms: part().parse().expect("perms are a number"),
                    scheme: part(),
                    id: part(),
                }
            })
            .collect()
    }
}
