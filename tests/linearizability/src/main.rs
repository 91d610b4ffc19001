//! `linearizability HISTORY.jsonl [SECONDS]`: 0 if an order exists, 1 if none does, 2 if it is not known or the
//! history cannot be read. Prints one JSON object.

use linearizability::{Verdict, check, read};
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: linearizability HISTORY.jsonl [SECONDS]");
        return ExitCode::from(2);
    };
    let seconds = arguments
        .next()
        .and_then(|it| it.parse().ok())
        .unwrap_or(60);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => return refuse(&path, &error),
    };
    let operations = match read(&text) {
        Ok(operations) => operations,
        Err(error) => return refuse(&path, &error),
    };
    let begun = Instant::now();
    let report = check(&operations, Duration::from_secs(seconds));
    let (verdict, code) = match &report.verdict {
        Verdict::Linearizable => ("linearizable", 0),
        Verdict::Impossible { .. } => ("impossible", 1),
        Verdict::Unknown => ("unknown", 2),
    };
    if let Verdict::Impossible {
        keys,
        longest,
        stuck,
    } = &report.verdict
    {
        eprintln!("{keys:?}: {longest} operations can be ordered, then none of these lines fits:");
        for &line in stuck.iter().take(10) {
            eprintln!("{line}: {}", text.lines().nth(line - 1).unwrap_or_default());
        }
    }
    let summary = serde_json::json!({
        "verdict": verdict,
        "operations": report.operations,
        "unknown": report.unknown,
        "groups": report.groups,
        "keys": report.keys,
        "states": report.states,
        "seconds": begun.elapsed().as_secs_f64(),
    });
    println!("{summary}");
    ExitCode::from(code)
}

fn refuse(path: &str, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("{path}: {error}");
    ExitCode::from(2)
}
