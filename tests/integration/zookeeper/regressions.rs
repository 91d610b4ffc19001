//! What other servers that speak this protocol got wrong, each by name and as a client meets it. Two more are
//! told of where watches are: `add_watch_does_not_loop_the_client_through_reconnects` and
//! `a_recursive_watch_reports_the_path_that_changed`.

use crate::support::ensemble::Members;
use crate::support::zookeeper::{Client, Port, create};
use zoogate::tree::Stat;
use zoogate::zk::wire::{Create2Response, DataResponse, OpCode};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_create_of_curator_sends_opcode_15_and_gets_path_and_stat() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    assert_eq!(OpCode::Create2.to_wire(), 15);
    for (flags, path) in [
        (0, "/plain"),
        (1, "/ephemeral"),
        (2, "/sequential-0000000002"),
        (3, "/both-0000000003"),
    ] {
        let asked = path.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let reply = client.call(OpCode::Create2, &create(asked, flags)).await;
        let zxid = reply.header.zxid;
        let created: Create2Response = reply.read();
        assert_eq!(&*created.path, path);
        assert_eq!(created.stat.czxid.to_wire(), zxid);
        let seen: Stat = client.get(OpCode::Exists, path, false).await.read();
        assert_eq!(created.stat, seen);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cversion_is_not_bumped_by_a_childs_set() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    for path in ["/p", "/p/c", "/p/c/d"] {
        assert_eq!(client.create(path, 0).await.error(), 0);
    }
    let before: Stat = client.get(OpCode::Exists, "/p", false).await.read();
    assert_eq!(before.cversion, 1);
    for path in ["/p/c", "/p/c", "/p/c/d"] {
        assert_eq!(client.set(path, "1").await.error(), 0);
        let after: Stat = client.get(OpCode::Exists, "/p", false).await.read();
        assert_eq!(after, before);
    }
    assert_eq!(client.create("/p/e", 0).await.error(), 0);
    let after: Stat = client.get(OpCode::Exists, "/p", false).await.read();
    assert_eq!(after.cversion, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_exists_for_curators_ensemble_tracker() {
    let members = Members::start(3).await;
    for name in ["n1", "n2", "n3"] {
        let port = Port::open(&members, name).await;
        let mut client = Client::open(port.addr).await;
        // The tracker reads it with a watch, and retries without end while it is missing.
        let reply = client.get(OpCode::GetData, "/zookeeper/config", true).await;
        let config: DataResponse = reply.read();
        assert!(config.data.is_some(), "null would end the tracker");
        let reply = client.get(OpCode::Exists, "/zookeeper/config", true).await;
        assert_eq!(reply.error(), 0);
    }
}
