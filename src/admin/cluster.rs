//! `/v1/cluster`: the members, and changing them.
//!
//! | request | does | answers |
//! |---|---|---|
//! | `GET /v1/cluster` | | the members and how far each is |
//! | `POST /v1/cluster/members` `{"name":"n4","address":"h:2888","observer":false}` | keeps a number for a node | 201 `{"member":4}` |
//! | `DELETE /v1/cluster/members/4` | removes the member | `{"zxid":99}` |
//! | `POST /v1/cluster/members/4/promote`, `…/demote` | gives or takes its vote | `{"zxid":99}` |
//! | `POST /v1/cluster/leader` `{"member":2}` or `{}` | has another voter lead | `{"leader":2}` |
//!
//! Any node may be asked; it passes the change on to the leader. An answer that is not 2xx is
//! `{"error":"not-found","reason":"there is no member 9"}`: 400 the request makes no sense, 401 and 403 it may not
//! ask (see `access`), 404 no such member, 409 another change is under way, 413 too long, 503 no leader or no quorum.

use super::asked::Asked;
use super::reply::{body, done, failed, wrong_method};
use super::routes::Page;
use super::{AdminState, access};
use crate::ensemble::{Alteration, ReconfigError, Survey, Surveyed};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

/// Where it begins.
pub(super) const PREFIX: &str = "/v1/cluster";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Newcomer {
    name: String,
    address: String,
    #[serde(default)]
    observer: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Successor {
    member: Option<u64>,
}

/// The answer to a request below [`PREFIX`], of which `rest` is what follows.
pub(super) async fn answer(state: &AdminState, asked: &Asked, rest: &str) -> Page {
    if let Some(refusal) = access::refuse_foreign(asked) {
        return refusal;
    }
    if rest.is_empty() {
        return match asked.method == Method::GET || asked.method == Method::HEAD {
            true => done(StatusCode::OK, &survey(&state.ensemble.survey().await)),
            false => wrong_method("GET, HEAD"),
        };
    }
    let wanted = match wanted(asked, rest) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    if let Some(refusal) = access::refuse(asked, state.token.as_deref()) {
        return refusal;
    }
    let by = asked.peer;
    tracing::info!(%by, ?wanted, "an operator changes the members");
    match state.ensemble.alter(&wanted).await {
        Ok(altered) => match (&wanted, altered.member) {
            (Alteration::Invite { .. }, Some(member)) => {
                done(StatusCode::CREATED, &json!({ "member": member }))
            }
            (Alteration::TransferLeader(_), Some(leader)) => {
                done(StatusCode::OK, &json!({ "leader": leader }))
            }
            _ => done(StatusCode::OK, &json!({ "zxid": altered.zxid.0 })),
        },
        Err(error) => refused(&error),
    }
}

/// What a request asks for.
fn wanted(asked: &Asked, rest: &str) -> Result<Alteration, Box<Page>> {
    let is_post = asked.method == Method::POST;
    let segments: Vec<&str> = rest.split('/').skip(1).collect();
    match segments.as_slice() {
        ["members"] if is_post => {
            let Newcomer {
                name,
                address,
                observer,
            } = body(asked)?;
            Ok(Alteration::Invite {
                name,
                address,
                observer,
            })
        }
        ["leader"] if is_post => {
            let Successor { member } = body(asked)?;
            Ok(Alteration::TransferLeader(member))
        }
        ["members", number] if asked.method == Method::DELETE => {
            Ok(Alteration::Remove(member(number)?))
        }
        ["members", number, "promote"] if is_post => Ok(Alteration::Promote(member(number)?)),
        ["members", number, "demote"] if is_post => Ok(Alteration::Demote(member(number)?)),
        ["members"] | ["leader"] | ["members", _, "promote" | "demote"] => {
            Err(Box::new(wrong_method("POST")))
        }
        ["members", _] => Err(Box::new(wrong_method("DELETE"))),
        _ => {
            let why = format!("no page {:?}", asked.path);
            Err(Box::new(failed(StatusCode::NOT_FOUND, "not-found", &why)))
        }
    }
}

fn member(number: &str) -> Result<u64, Box<Page>> {
    number.parse().map_err(|_| {
        let why = format!("{number:?} is not the number of a member");
        Box::new(failed(StatusCode::BAD_REQUEST, "bad-request", &why))
    })
}

fn survey(survey: &Survey) -> Value {
    let heard = |member: &Surveyed| member.last_contact_ms.is_some_and(|ms| ms < HEARD_MS);
    let voters: Vec<&Surveyed> = survey.members.iter().filter(|m| m.voter).collect();
    let there = voters.iter().filter(|member| heard(member)).count();
    let members = survey.members.iter().map(|member| {
        let lag = |matched| survey.last_log.saturating_sub(matched);
        json!({
            "number": member.number,
            "name": member.name,
            "address": member.address,
            "clients": member.clients,
            "role": match (survey.leader == Some(member.number), member.voter) {
                (true, _) => "leader",
                (false, true) => "follower",
                (false, false) if member.wants_vote => "joining",
                (false, false) => "observer",
            },
            "voter": member.voter,
            "matched": member.matched,
            "lag": member.matched.map(lag),
            "last_contact_ms": member.last_contact_ms,
            "starts": member.boots,
            "level": member.level,
        })
    });
    json!({
        "ensemble": format!("{:016x}", survey.ensemble),
        "leader": survey.leader,
        "term": survey.term,
        "level": survey.level,
        "voters": voters.len(),
        "voters_in_reach": there,
        "quorum": survey.leader.is_some() && there * 2 > voters.len(),
        "last_index": survey.last_log,
        "members": members.collect::<Vec<Value>>(),
    })
}

/// A member that the leader heard from within this time is there: as long as clients are served without a word.
const HEARD_MS: u64 = 1500;

fn refused(error: &ReconfigError) -> Page {
    let (status, name) = match error {
        ReconfigError::BadArguments(_) | ReconfigError::Standalone => {
            (StatusCode::BAD_REQUEST, "bad-request")
        }
        ReconfigError::Unknown(_) => (StatusCode::NOT_FOUND, "not-found"),
        ReconfigError::InProgress => (StatusCode::CONFLICT, "in-progress"),
        ReconfigError::BadVersion => (StatusCode::CONFLICT, "bad-version"),
        ReconfigError::NoQuorum(_) => (StatusCode::SERVICE_UNAVAILABLE, "no-quorum"),
        ReconfigError::NoSuccessor => (StatusCode::SERVICE_UNAVAILABLE, "no-successor"),
        ReconfigError::NoLeader => (StatusCode::SERVICE_UNAVAILABLE, "no-leader"),
        ReconfigError::OutcomeUnknown => (StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown"),
    };
    failed(status, name, &error.to_string())
}
