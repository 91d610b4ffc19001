//! What a verb asks a server for, against scripted servers.

use super::{Deadline, create, stat};
use crate::cli::CliError;
use crate::cli::args::CreateArgs;
use crate::cli::output::Output;
use crate::client::Client;
use crate::client::scripted::{Peer, Server, hosts};
use crate::zk::wire::OpCode;
use bytes::Bytes;
use std::time::Duration;

async fn connected(server: &Server) -> (Client, Peer) {
    let hosts = hosts(&[server]);
    let connecting = Client::connect(&hosts, Duration::from_secs(5));
    let (connected, peer) = tokio::join!(connecting, server.welcome(5_000));
    (connected.unwrap().0, peer)
}

/// Answers the requests that come, which must be these, with these errors.
async fn refuse(peer: &mut Peer, script: &[(OpCode, i32)]) {
    for (expected, error) in script {
        let (xid, opcode, _) = peer.request().await;
        assert_eq!(opcode, *expected);
        peer.refuse(xid, *error).await;
    }
}

#[tokio::test]
async fn reads_catch_up_with_the_leader_and_go_on_without_one() {
    let server = Server::start().await;
    let (client, mut peer) = connected(&server).await;
    let script = [(OpCode::Sync, -7), (OpCode::Exists, -101)];
    let (shown, ()) = tokio::join!(
        stat(&client, "/a", Output::new()),
        refuse(&mut peer, &script)
    );
    assert_eq!(shown.unwrap_err().exit().code(), 3);
}

#[tokio::test]
async fn parents_are_created_first_and_only_when_asked_for() {
    let create_with = |parents| CreateArgs {
        ephemeral: false,
        sequential: false,
        parents,
        path: "/a/b/c".into(),
        data: None,
    };
    for (parents, script) in [
        (false, &[(OpCode::Create, -101)][..]),
        (
            true,
            &[-101, -110, -110, -110].map(|code| (OpCode::Create, code))[..],
        ),
    ] {
        let server = Server::start().await;
        let (client, mut peer) = connected(&server).await;
        let args = create_with(parents);
        let deadline = Deadline::new(Duration::from_secs(60));
        let (created, ()) = tokio::join!(
            create(&client, &args, Bytes::new(), deadline, Output::new()),
            refuse(&mut peer, script)
        );
        let expected = if parents { 4 } else { 3 };
        assert_eq!(created.unwrap_err().exit().code(), expected);
    }
}

#[tokio::test]
async fn a_verb_that_takes_too_long_ends_with_its_own_exit_code() {
    let deadline = Deadline::new(Duration::from_millis(20));
    let never = std::future::pending::<Result<(), CliError>>();
    let error = deadline.bound("waiting", never).await.unwrap_err();
    assert_eq!(error.to_string(), "waiting took longer than 20ms");
    assert_eq!(error.exit().code(), 7);
}
