//! What the rooms above ask of all members: who answers, and what is said of those who do not.

use crate::support::ensemble::Members;
use std::sync::Arc;
use zoogate::ensemble::{MemberAnswer, Unanswered};

/// Has a member answer each question with its name and the question, but none that is empty.
fn answer(members: &Members, name: &'static str) {
    members.member(name).answer_members(Arc::new(move |asked| {
        let asked = std::str::from_utf8(asked).ok()?;
        (!asked.is_empty()).then(|| format!("{name} heard {asked}").into())
    }));
}

/// Number and name of each member, and what it said.
fn said(answers: &[MemberAnswer]) -> Vec<String> {
    let text = |answer: &MemberAnswer| match &answer.answer {
        Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Err(Unanswered::NotUnderstood) => "?".into(),
        Err(Unanswered::Silent(_)) => "-".into(),
    };
    let line =
        |answer: &MemberAnswer| format!("{} {} {}", answer.number, answer.name, text(answer));
    answers.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_member_is_asked_and_who_is_silent_is_named() {
    let mut members = Members::start(3).await;
    members.observe("n4").await;
    for name in ["n1", "n2", "n4"] {
        answer(&members, name);
    }
    let answers = members.member("n2").ask_members("hello".into()).await;
    assert_eq!(
        said(&answers),
        [
            "1 n1 n1 heard hello",
            "2 n2 n2 heard hello",
            "3 n3 ?",
            "4 n4 n4 heard hello"
        ]
    );
    members.stop("n1").await;
    let answers = members.member("n2").ask_members("again".into()).await;
    assert_eq!(said(&answers)[..2], ["1 n1 -", "2 n2 n2 heard again"]);
    let answers = members.member("n4").ask_members("".into()).await;
    assert_eq!(said(&answers)[1..], ["2 n2 ?", "3 n3 ?", "4 n4 ?"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_too_long_is_none() {
    let members = Members::start(1).await;
    let member = members.member("n1");
    member.answer_members(Arc::new(|asked| Some(vec![0; asked.len() * (16 << 10)])));
    let length = |answers: Vec<MemberAnswer>| answers[0].answer.clone().map(|bytes| bytes.len());
    assert_eq!(
        length(member.ask_members("1234".into()).await),
        Ok(64 << 10)
    );
    let answer = length(member.ask_members("12345".into()).await);
    assert_eq!(answer, Err(Unanswered::NotUnderstood));
}
