//! Why an endpoint gets traffic or not, in one sentence for people. Programs have the fields beside it.

use crate::balance::{Availability, Condition, Standing};
use crate::registry::{Departure, Removal};
use crate::routing::{Aside, Drain};
use crate::tree::Zxid;
use humantime::format_duration;
use std::time::Duration;

/// What a sentence is made of.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    /// The endpoint's condition, and how it came about.
    pub standing: Standing,
    /// Picks may choose it.
    pub is_picked: bool,
    /// Who drains it.
    pub drain: Option<&'a Drain>,
    /// The monotonic time.
    pub now_ms: u64,
}

impl Case<'_> {
    /// The sentence.
    pub(super) fn sentence(&self) -> String {
        let cause = self.standing.cause.unwrap_or("no reason is known");
        let said = match self.standing.condition {
            Condition::Up => "nothing speaks against it".into(),
            Condition::Warming => format!(
                "with a growing share, as it is new or was out{}",
                self.left()
            ),
            Condition::Held => format!(
                "its registration expired together with too many others, but it still answers{}",
                self.left()
            ),
            Condition::Suspect => "the connection of the session that registered it broke".into(),
            Condition::Ejected => format!("exchanges with it failed ({cause}){}", self.left()),
            Condition::Unhealthy => format!("its check fails ({cause})"),
            Condition::Draining => self.drained(),
        };
        format!("{}: {said}", self.verdict())
    }

    fn verdict(&self) -> &'static str {
        match (self.is_picked, self.standing.condition.availability()) {
            (true, Availability::InUse) => "in",
            (true, _) => "in, in need, as too few others are better",
            (false, Availability::InUse) => "out for now, as others take the traffic",
            (false, _) => "out",
        }
    }

    fn left(&self) -> String {
        let left = self
            .standing
            .until_ms
            .map(|until| until.saturating_sub(self.now_ms));
        left.map_or(String::new(), |ms| format!(", for {} more", seconds(ms)))
    }

    fn drained(&self) -> String {
        let who = self.drain.map_or(Vec::new(), asking);
        let who = match who.split_last() {
            None => "it is being removed".to_owned(),
            Some((last, [])) => format!("{last} wants it drained"),
            Some((last, others)) => format!("{} and {last} want it drained", others.join(", ")),
        };
        let until = self.standing.until_ms;
        let ends = match until.map(|until| until.saturating_sub(self.now_ms)) {
            None => String::new(),
            Some(0) => "; what was under way has been ended".into(),
            Some(ms) => format!("; what is under way may go on for {}", seconds(ms)),
        };
        format!("{who}{ends}")
    }
}

/// Who asks for a drain.
fn asking(drain: &Drain) -> Vec<String> {
    let order = drain.order.as_ref().map(|order| {
        let by = order
            .by
            .as_ref()
            .map_or(String::new(), |by| format!(" ({by})"));
        let zxid = drain
            .zxid
            .map_or(String::new(), |zxid| format!(" at {}", Zxid(zxid)));
        format!("an operator{by}{zxid}")
    });
    let settings = drain.settings.then(|| "the settings".to_owned());
    let registration = drain.registration.then(|| "its registration".to_owned());
    order
        .into_iter()
        .chain(settings)
        .chain(registration)
        .collect()
}

/// About a registration that says that it does not serve.
pub(super) fn aside(aside: &Aside) -> String {
    match aside.is_starting {
        true => "out: its registration says that it does not serve yet".into(),
        false => "out: its registration says that it does not serve any more".into(),
    }
}

/// About an instance that has left; `unix_ms` is the time now.
pub(super) fn departed(departure: &Departure, unix_ms: i64) -> String {
    let ago = unix_ms.saturating_sub(departure.at_ms).max(0) as u64;
    let zxid = Zxid(departure.zxid);
    let how = match departure.removal {
        Some(Removal::Expired(session)) => format!("session {session} expired at {zxid}"),
        Some(Removal::Closed(session)) => format!("its client closed session {session} at {zxid}"),
        Some(Removal::Deleted) => format!("its znode was deleted at {zxid}"),
        None => format!("by {zxid} neither registrations nor settings had it"),
    };
    format!("gone for {}: {how}", seconds(ago))
}

/// About an order for an instance that is not there.
pub(super) fn ordered(drain: &Drain) -> String {
    let who = asking(drain).join(" and ");
    format!("not registered; it would be drained, as {who} asked for that")
}

fn seconds(ms: u64) -> String {
    let rounded = match ms {
        0..1000 => Duration::from_millis(ms),
        ms => Duration::from_secs(ms / 1000),
    };
    format_duration(rounded).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::DrainOrder;
    use crate::tree::SessionId;

    fn standing(
        condition: Condition,
        until_ms: Option<u64>,
        cause: Option<&'static str>,
    ) -> Standing {
        Standing {
            condition,
            since_ms: Some(5),
            until_ms,
            zxid: None,
            cause,
        }
    }

    fn sentence(standing: Standing, is_picked: bool, drain: Option<&Drain>) -> String {
        let case = Case {
            standing,
            is_picked,
            drain,
            now_ms: 10_000,
        };
        case.sentence()
    }

    #[test]
    fn each_condition_has_its_sentence() {
        use Condition::*;
        for (condition, until, cause, is_picked, expected) in [
            (Up, None, None, true, "in: nothing speaks against it"),
            (
                Up,
                None,
                None,
                false,
                "out for now, as others take the traffic: nothing speaks against it",
            ),
            (
                Warming,
                Some(22_500),
                None,
                true,
                "in: with a growing share, as it is new or was out, for 12s more",
            ),
            (
                Held,
                Some(40_000),
                None,
                true,
                "in: its registration expired together with too many others, but it still answers, for 30s more",
            ),
            (
                Suspect,
                None,
                None,
                false,
                "out: the connection of the session that registered it broke",
            ),
            (
                Ejected,
                Some(10_500),
                Some("success-rate"),
                false,
                "out: exchanges with it failed (success-rate), for 500ms more",
            ),
            (
                Unhealthy,
                None,
                Some("connect-refused"),
                false,
                "out: its check fails (connect-refused)",
            ),
            (
                Unhealthy,
                None,
                Some("timeout"),
                true,
                "in, in need, as too few others are better: its check fails (timeout)",
            ),
            (
                Draining,
                Some(12_000),
                None,
                false,
                "out: it is being removed; what is under way may go on for 2s",
            ),
        ] {
            let found = sentence(standing(condition, until, cause), is_picked, None);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_drain_names_everybody_who_asks_for_it() {
        let mut drain = Drain {
            registration: true,
            ..Drain::of(&"a".into())
        };
        let of = |drain: &Drain| {
            sentence(
                standing(Condition::Draining, Some(9), None),
                false,
                Some(drain),
            )
        };
        let over = "; what was under way has been ended";
        assert_eq!(
            of(&drain),
            format!("out: its registration wants it drained{over}")
        );
        drain.settings = true;
        drain.order = Some(DrainOrder {
            by: Some("ann at ::1".into()),
            ..DrainOrder::default()
        });
        drain.zxid = Some(0x2a);
        let who = "an operator (ann at ::1) at 0x2a, the settings and its registration";
        assert_eq!(of(&drain), format!("out: {who} want it drained{over}"));
    }

    #[test]
    fn a_departure_says_what_did_it_and_when() {
        let departure = |removal| Departure {
            address: None,
            zxid: 0x30,
            removal,
            at_ms: 1_000,
        };
        let session = SessionId(0x11);
        for (removal, expected) in [
            (
                Some(Removal::Expired(session)),
                "session 0x11 expired at 0x30",
            ),
            (
                Some(Removal::Closed(session)),
                "its client closed session 0x11 at 0x30",
            ),
            (Some(Removal::Deleted), "its znode was deleted at 0x30"),
            (None, "by 0x30 neither registrations nor settings had it"),
        ] {
            let found = departed(&departure(removal), 181_500);
            assert_eq!(found, format!("gone for 3m: {expected}"));
        }
        assert!(departed(&departure(None), 0).starts_with("gone for 0s: "));
    }
}
