//! Four-letter words: what operators and monitoring ask a ZooKeeper server over its client port.
//!
//! A word is the first four bytes of a connection; the answer is plain text, then the server closes. Which words
//! are answered is a setting, because some name clients and cost time in proportion to what they list.
//!
//! Source: ZooKeeper 3.9 Administrator's Guide, "The Four Letter Words"; the bytes are those of running servers.

#[cfg(test)]
mod tests;
mod text;

use super::monitor::{NOT_SERVING, Sessions, TooMany, Withheld, environment, in_turn};
use super::port::Port;
use std::sync::Arc;

/// A word of ZooKeeper's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Are you running?
    Ruok,
    /// Can you be written to?
    Isro,
    /// A summary for people.
    Srvr,
    /// The same, with connections.
    Stat,
    /// Numbers for monitoring.
    Mntr,
    /// Connections in full.
    Cons,
    /// Begin the connections' counts anew.
    Crst,
    /// Begin the server's counts anew.
    Srst,
    /// Settings.
    Conf,
    /// Where the process runs.
    Envi,
    /// Bytes on disk.
    Dirs,
    /// Sessions and ephemerals.
    Dump,
    /// How many watches.
    Wchs,
    /// Watches by session.
    Wchc,
    /// Watches by path.
    Wchp,
    /// Known, but never answered: there are no trace masks, and the digest is a command of the admin door.
    Never(&'static str),
}

/// All words of ZooKeeper 3.9.
const KNOWN: [(&str, Word); 18] = [
    ("ruok", Word::Ruok),
    ("isro", Word::Isro),
    ("srvr", Word::Srvr),
    ("stat", Word::Stat),
    ("mntr", Word::Mntr),
    ("cons", Word::Cons),
    ("crst", Word::Crst),
    ("srst", Word::Srst),
    ("conf", Word::Conf),
    ("envi", Word::Envi),
    ("dirs", Word::Dirs),
    ("dump", Word::Dump),
    ("wchs", Word::Wchs),
    ("wchc", Word::Wchc),
    ("wchp", Word::Wchp),
    ("gtmk", Word::Never("gtmk")),
    ("stmk", Word::Never("stmk")),
    ("hash", Word::Never("hash")),
];

impl Word {
    /// The word these bytes spell, if it is one.
    pub(super) fn from_bytes(bytes: [u8; 4]) -> Option<Word> {
        let known = KNOWN.iter().find(|(text, _)| text.as_bytes() == bytes)?;
        Some(known.1)
    }

    /// As it is asked.
    fn as_str(self) -> &'static str {
        let known = KNOWN.iter().find(|(_, word)| *word == self);
        known.map_or("", |(text, _)| text)
    }

    /// Whether it is answered while no leader is within reach.
    fn is_always_answered(self) -> bool {
        matches!(self, Word::Ruok | Word::Isro | Word::Envi)
    }
}

/// The answer to a word.
pub(super) async fn answer(word: Word, port: &Arc<Port>) -> String {
    let name = word.as_str();
    let is_allowed = port.settings.four_letter_words.allows(name);
    if !is_allowed || matches!(word, Word::Never(_)) {
        return format!("{name} is not executed because it is not in the whitelist.\n");
    }
    if !port.tells() && !word.is_always_answered() {
        return format!("{NOT_SERVING}\n");
    }
    match word {
        Word::Ruok => "imok".to_owned(),
        Word::Isro => writable(port).to_owned(),
        Word::Srvr => text::summary(&port.numbers()),
        Word::Mntr => text::measures(&port.numbers().measures()),
        Word::Envi => text::environment(&environment()),
        Word::Crst => {
            port.tally.reset_connections();
            "Connection stats reset.\n".to_owned()
        }
        Word::Srst => {
            port.reset_numbers();
            "Server stats reset.\n".to_owned()
        }
        _ => {
            let answer = in_turn(port, move |port| large(word, port)).await;
            answer.unwrap_or_else(|withheld: Withheld| format!("{withheld}\n"))
        }
    }
}

/// The answers that grow with what they list, or come from the disk.
fn large(word: Word, port: &Port) -> Result<String, TooMany> {
    Ok(match word {
        Word::Stat => text::clients(&port.numbers(), &port.tally.connections()),
        Word::Cons => text::connections(&port.tally.connections()),
        Word::Conf => text::settings(&port.settings(), &port.storage()),
        Word::Dirs => text::storage(&port.storage()),
        Word::Dump => text::sessions(&Sessions::of(port)?),
        Word::Wchs => text::watch_summary(port.watches.summary()),
        Word::Wchc => text::watches_by_session(&port.watched_by_session()?),
        Word::Wchp => text::watches_by_path(&port.watched_by_path()?),
        // Answered without a turn.
        _ => String::new(),
    })
}

/// What a client that looks for a server to write to is told.
fn writable(port: &Port) -> &'static str {
    match (port.is_serving(), port.is_read_only()) {
        (true, _) => "rw",
        (false, true) => "ro",
        (false, false) => "null",
    }
}
