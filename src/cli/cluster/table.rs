//! What the members look like to people.

use crate::cli::table::aligned;
use serde_json::Value;

const HEAD: [&str; 9] = [
    "NUMBER", "NAME", "ADDRESS", "CLIENTS", "ROLE", "VOTES", "MATCHED", "LAG", "CONTACT",
];

/// The members as lines of a table.
pub(super) fn members(survey: &Value) -> Vec<String> {
    let rows = survey["members"].as_array().into_iter().flatten().map(row);
    let head = HEAD.map(str::to_owned);
    let rows = std::iter::once(head).chain(rows);
    aligned(&rows.map(Vec::from).collect::<Vec<_>>())
}

fn row(member: &Value) -> [String; 9] {
    let text = |key: &str| match &member[key] {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    };
    let contact = match member["last_contact_ms"].as_u64() {
        Some(0) if member["role"] == "leader" => "-".into(),
        Some(ms) => format!("{ms}ms"),
        None => "never".into(),
    };
    let votes = match member["voter"] == true {
        true => "yes",
        false => "no",
    };
    [
        text("number"),
        text("name"),
        text("address"),
        text("clients"),
        text("role"),
        votes.into(),
        text("matched"),
        text("lag"),
        contact,
    ]
}

/// All of it in one line.
pub(super) fn status(survey: &Value) -> String {
    let quorum = match survey["quorum"] == true {
        true => "quorum",
        false => "NO QUORUM",
    };
    let leader = match survey["leader"].as_u64() {
        Some(leader) => format!("member {leader} leads in term {}", survey["term"]),
        None => "nobody leads".into(),
    };
    let members = survey["members"].as_array().map_or(0, Vec::len);
    format!(
        "{quorum}: {} of {} voters answer, {leader}; {members} members, level {}, ensemble {}",
        survey["voters_in_reach"],
        survey["voters"],
        survey["level"],
        survey["ensemble"].as_str().unwrap_or("-"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let survey = json!({"members": [
            {"number": 1, "name": "n1", "address": "10.0.0.1:2888", "clients": "c:2181", "role": "leader",
             "voter": true, "matched": 9, "lag": 0, "last_contact_ms": 0},
            {"number": 12, "name": "n2", "address": "h:1", "clients": null, "role": "observer",
             "voter": false, "matched": null, "lag": null, "last_contact_ms": null},
        ]});
        assert_eq!(
            members(&survey),
            [
                "NUMBER  NAME  ADDRESS        CLIENTS  ROLE      VOTES  MATCHED  LAG  CONTACT",
                "1       n1    10.0.0.1:2888  c:2181   leader    yes    9        0    -",
                "12      n2    h:1            -        observer  no     -        -    never",
            ]
        );
    }
}
