//! The floor plan: a room uses only rooms below it, and the two wings meet in `registry` alone.
//!
//! ```text
//! floor 5  node  cli   client
//! floor 4  proxy       admin       zk
//! floor 3              registry
//! floor 2  upstream                ensemble
//! floor 1  routing -> balance      tree          pure: no I/O, no clock, no tokio, no randomness
//! floor 0  config      net         telemetry       simulation: only in tests/simulation, under all of these
//!          traffic wing            coordination wing
//! ```
//! `proxy` and `zk` are kept to their wings: traffic never waits for the ensemble, so the code that moves it
//! cannot even name it. A room that is missing here is a violation, so a new one gets its floor first.

use super::source::{self, Source, is_word};
use super::{assert_clean, expect};

/// What each room may use besides itself; `room::module` allows that module only.
const ROOMS: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("net", &["simulation"]),
    ("telemetry", &[]),
    ("simulation", &[]),
    ("tree", &["config", "telemetry", "simulation"]),
    ("balance", &["config", "net", "telemetry"]),
    ("routing", &["config", "net", "telemetry", "balance"]),
    (
        "upstream",
        &["config", "net", "telemetry", "balance", "routing"],
    ),
    (
        "ensemble",
        &["config", "net", "telemetry", "simulation", "tree"],
    ),
    (
        "registry",
        &[
            "config",
            "net",
            "telemetry",
            "balance",
            "routing",
            "upstream",
            "tree",
            "ensemble",
        ],
    ),
    (
        "proxy",
        &[
            "config",
            "net",
            "telemetry",
            "balance",
            "routing",
            "upstream",
        ],
    ),
    (
        "zk",
        &[
            "config",
            "net",
            "telemetry",
            "simulation",
            "tree",
            "ensemble",
        ],
    ),
    (
        "admin",
        &[
            "config",
            "net",
            "telemetry",
            "balance",
            "routing",
            "upstream",
            "tree",
            "ensemble",
            "registry",
        ],
    ),
    (
        "client",
        &["config", "net", "telemetry", "tree", "zk::wire"],
    ),
    ("cli", &ALL),
    ("node", &ALL),
];

const ALL: [&str; 14] = [
    "config",
    "net",
    "telemetry",
    "tree",
    "balance",
    "routing",
    "upstream",
    "ensemble",
    "registry",
    "proxy",
    "admin",
    "zk",
    "client",
    "node",
];

/// Rooms whose code is a function of its arguments, tests aside.
const PURE: &[&str] = &["tree", "balance", "routing"];

/// What a pure room cannot name.
const IMPURE: &[&str] = &[
    "tokio::",
    "std::fs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "std::env",
    "std::process",
    "rand::",
    "SystemTime",
    "Instant",
];

fn violations(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter_map(|source| Some((source, source.room()?)))
        .flat_map(|(source, room)| {
            let complaints = wrong_rooms(source, room);
            let complaints = complaints.into_iter().chain(impurities(source, room));
            complaints.map(|complaint| format!("{}: {complaint}", source.path))
        })
        .collect()
}

fn wrong_rooms(source: &Source, room: &str) -> Vec<String> {
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("room `{room}` has no floor")];
    };
    let is_allowed = |path: &String| {
        let used = path.split("::").next().unwrap_or(path);
        used == room || allowed.contains(&used) || allowed.contains(&path.as_str())
    };
    let mut paths = crate_paths(&source.code);
    paths.retain(|path| !is_allowed(path));
    paths.dedup();
    let wrong = paths
        .into_iter()
        .map(|path| format!("`{room}` may not use `{path}`"));
    wrong.chain(escapes(source)).collect()
}

/// The first two segments of each path that starts at the crate, groups resolved.
fn crate_paths(code: &str) -> Vec<String> {
    let words = code.match_indices("crate::");
    let starts = words.filter(|(at, _)| !code[..*at].ends_with(|c| is_word(c) || c == '$'));
    starts
        .flat_map(|(at, found)| expand(&code[at + found.len()..], 2))
        .collect()
}

/// Up to `depth` segments of the use tree that `text` starts with.
fn expand(text: &str, depth: usize) -> Vec<String> {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        return items(group).flat_map(|item| expand(item, depth)).collect();
    }
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let (segment, rest) = text.split_at(end);
    match rest.strip_prefix("::") {
        Some(rest) if depth > 1 => {
            let below = expand(rest, depth - 1).into_iter();
            below.map(|path| format!("{segment}::{path}")).collect()
        }
        _ => vec![segment.into()],
    }
}

/// The items of a group whose opening brace is behind us.
fn items(group: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut from, mut found) = (1, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            found.push(group[from..at].trim());
            from = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    found.into_iter().filter(|item| !item.is_empty())
}

/// Paths that leave the room by `super`. A file `room/a.rs` is one level below its room, and so is what
/// stands in a `mod` block, which rustfmt indents.
fn escapes(source: &Source) -> Vec<String> {
    let levels = source.path.trim_end_matches("/mod.rs").split('/').count() - 2;
    let lines = source.code.lines().enumerate();
    let climbing = lines.filter(|(_, line)| {
        let blocks = (line.len() - line.trim_start().len()) / 4;
        let steps = line.find("super::").map_or(0, |at| {
            let mut rest = &line[at..];
            let mut steps = 0;
            while let Some(above) = rest.strip_prefix("super::") {
                rest = above;
                steps += 1;
            }
            steps
        });
        steps > levels + blocks
    });
    climbing
        .map(|(at, _)| format!("line {} leaves the room by `super`: say `crate::`", at + 1))
        .collect()
}

fn impurities(source: &Source, room: &str) -> Vec<String> {
    if !PURE.contains(&room) {
        return Vec::new();
    }
    let code = source.code_without_tests();
    let named = |word: &str| {
        let mut places = code.match_indices(word);
        places.any(|(at, _)| !code[..at].ends_with(is_word))
    };
    let impure = IMPURE.iter().filter(|word| named(word));
    impure
        .map(|word| format!("`{room}` is pure: no `{word}`"))
        .collect()
}

#[test]
fn every_room_keeps_to_its_floor() {
    assert_clean(violations(&source::all()));
}

#[test]
fn every_room_exists() {
    for (room, _) in ROOMS {
        let folder = std::path::Path::new("src").join(room);
        assert!(
            folder.is_dir(),
            "the floor plan names `{room}`, which is gone"
        );
    }
}

#[test]
fn use_of_a_higher_or_neighbouring_room_is_found() {
    let check = |path, text, expected: &[&str]| expect(violations, path, text, expected);
    check(
        "src/tree/a.rs",
        "use crate::tree::Zxid;\nuse crate::config::A;",
        &[],
    );
    check(
        "src/tree/a.rs",
        "use crate::ensemble::A;",
        &["`tree` may not use `ensemble::A`"],
    );
    check(
        "src/net/a.rs",
        "fn f() { crate::config::x() }",
        &["`config::x`"],
    );
    check("src/proxy/mod.rs", "use crate::zk::wire;", &["`zk::wire`"]);
    check(
        "src/proxy/mod.rs",
        "use crate::ensemble::Ensemble;",
        &["`ensemble::Ensemble`"],
    );
    check(
        "src/zk/mod.rs",
        "use crate::{\n    net::{a, b},\n    proxy::{C, D},\n};",
        &["`proxy::C`", "`proxy::D`"],
    );
    check("src/client/a.rs", "use crate::zk::wire::{A, B};", &[]);
    check(
        "src/client/a.rs",
        "use crate::zk::{wire, Door};",
        &["`zk::Door`"],
    );
    check("src/tree/a.rs", "//! See [`crate::zk::wire`].\n", &[]);
    check("src/attic/a.rs", "", &["`attic` has no floor"]);
    check("src/main.rs", "use zoogate::node;\nmod crate::x;", &[]);
}

#[test]
fn leaving_a_room_by_super_is_found() {
    let check = |path, text, expected: &[&str]| expect(violations, path, text, expected);
    check("src/tree/mod.rs", "use super::net;", &["line 1 leaves"]);
    check("src/tree/mod.rs", "mod tests {\n    use super::*;\n}", &[]);
    check("src/tree/a.rs", "use super::b;", &[]);
    check(
        "src/tree/a.rs",
        "use super::super::net;",
        &["line 1 leaves"],
    );
    check("src/zk/wire/a.rs", "use super::super::b;", &[]);
}

#[test]
fn impure_call_in_a_core_is_found() {
    let check = |path, text, expected: &[&str]| expect(violations, path, text, expected);
    check("src/balance/a.rs", "use tokio::time;", &["no `tokio::`"]);
    check(
        "src/tree/a.rs",
        "let a = std::time::Instant::now();",
        &["no `Instant`"],
    );
    check("src/routing/a.rs", "let operand::x = 1;", &[]);
    check(
        "src/tree/a.rs",
        "#[cfg(test)]\nmod tests {\n    use std::fs;\n}",
        &[],
    );
    check("src/ensemble/a.rs", "use tokio::time;", &[]);
}
