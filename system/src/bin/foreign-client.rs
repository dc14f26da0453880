//! The ordinary work of a program that uses etcd, by Rust's `etcd-client`, while a node is killed.
//!
//! `foreign-client ENDPOINT…` prints `acknowledged N` for each write that was taken while it works through the kill, and
//! `all is well` at the end; what is wrong ends it with a panic. `system/tests/system/clients.rs` runs it and kills.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use etcd_client::{
    Client, Compare, CompareOp, ConnectOptions, DeleteOptions, Error, EventType, GetOptions, LeaseTimeToLiveOptions,
    LockOptions, ProclaimOptions, PutOptions, ResignOptions, Txn, TxnOp, WatchOptions,
};
use tokio::task::{LocalSet, spawn_local};

/// Writes while the node is killed; the test kills after the first third.
const WRITES: usize = 300;

/// How long anything may take, an election included.
const LIMIT: Duration = Duration::from_secs(30);

/// Before a refused call is tried again.
const PAUSE: Duration = Duration::from_millis(50);

// One thread: the calls that are repeated borrow the client, which tasks of several threads may not.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    LocalSet::new().run_until(work()).await;
}

async fn work() {
    let endpoints: Vec<String> = std::env::args().skip(1).collect();
    let options = ConnectOptions::new()
        .with_connect_timeout(Duration::from_secs(1))
        .with_keep_alive(Duration::from_secs(1), Duration::from_secs(2))
        .with_timeout(Duration::from_secs(5));
    let client = Client::connect(&endpoints, Some(options)).await.expect("a client can be made");
    everything_once(client.clone(), "before").await;
    through_the_kill(client.clone()).await;
    everything_once(client, "after").await;
    println!("all is well");
}

/// Tries until it is done: a call that fails while a leader is elected is repeated, as programs do.
async fn retry<T>(what: &str, mut call: impl AsyncFnMut() -> Result<T, Error>) -> T {
    let begun = Instant::now();
    loop {
        match call().await {
            Ok(done) => return done,
            Err(error) => assert!(begun.elapsed() < LIMIT, "{what}: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Each service once.
async fn everything_once(mut client: Client, when: &str) {
    let key = |name: &str| format!("once/{when}/{name}");
    retry("put", async || client.put(key("a"), "1", None).await).await;
    let found = retry("get", async || client.get(key("a"), None).await).await;
    assert_eq!(found.kvs()[0].value(), b"1");
    let create = Txn::new()
        .when([Compare::value(key("a"), CompareOp::Equal, "1")])
        .and_then([TxnOp::put(key("b"), "2", None), TxnOp::get(key("a"), None)])
        .or_else([TxnOp::put(key("b"), "no", None)]);
    assert!(retry("txn", async || client.txn(create.clone()).await).await.succeeded());

    let lease = retry("lease grant", async || client.lease_grant(60, None).await).await.id();
    let on_lease = PutOptions::new().with_lease(lease);
    retry("put on a lease", async || client.put(key("leased"), "3", Some(on_lease.clone())).await).await;
    let with_keys = LeaseTimeToLiveOptions::new().with_keys();
    let left = retry("time to live", async || client.lease_time_to_live(lease, Some(with_keys.clone())).await).await;
    assert!(left.ttl() > 30 && left.keys() == [key("leased").into_bytes()], "{left:?}");

    let lock = LockOptions::new().with_lease(lease);
    let held = retry("lock", async || client.lock(key("lock"), Some(lock.clone())).await).await;
    retry("unlock", async || client.unlock(held.key()).await).await;
    let won = retry("campaign", async || client.campaign(key("election"), "me", lease).await).await;
    let leader = won.leader().expect("a campaign that was won has a leader").clone();
    let proclaim = ProclaimOptions::new().with_leader(leader.clone());
    retry("proclaim", async || client.proclaim("still me", Some(proclaim.clone())).await).await;
    let seen = retry("leader", async || client.leader(key("election")).await).await;
    assert_eq!(seen.kv().expect("somebody leads").value(), b"still me");
    let mut observed = retry("observe", async || client.observe(key("election")).await).await;
    let first = observed.message().await.expect("it can be observed").expect("somebody leads");
    assert_eq!(first.kv().expect("somebody leads").value(), b"still me");
    let resign = ResignOptions::new().with_leader(leader);
    retry("resign", async || client.resign(Some(resign.clone())).await).await;

    assert_eq!(retry("members", async || client.member_list().await).await.members().len(), 3);
    let status = retry("status", async || client.status().await).await;
    assert!(status.leader() != 0 && status.version().starts_with("3."), "{status:?}");
    assert!(retry("hash", async || client.hash_kv(0).await).await.hash() != 0);
    retry("revoke", async || client.lease_revoke(lease).await).await;
    assert_eq!(retry("get", async || client.get(key("leased"), None).await).await.kvs().len(), 0);
    let prefix = DeleteOptions::new().with_prefix();
    let gone = retry("delete", async || client.delete(key(""), Some(prefix.clone())).await).await;
    assert_eq!(gone.deleted(), 2);
}

/// Writes, counts under a lock, keeps a lease and watches, and says of every write when it was taken.
async fn through_the_kill(mut client: Client) {
    let over = Arc::new(AtomicBool::new(false));
    let watching = spawn_local(watch(client.clone(), over.clone()));
    let lease = retry("lease grant", async || client.lease_grant(10, None).await).await.id();
    let on_lease = PutOptions::new().with_lease(lease);
    retry("put on a lease", async || client.put("kept", "alive", Some(on_lease.clone())).await).await;
    let keeping = spawn_local(keep_alive(client.clone(), lease, over.clone()));
    let counting: Vec<_> = (0..2).map(|_| spawn_local(count_under_a_lock(client.clone()))).collect();

    let mut taken = BTreeMap::new();
    for number in 0..WRITES {
        let key = format!("work/{number:04}");
        let done = retry("put", async || client.put(key.clone(), number.to_string(), None).await).await;
        taken.insert(key, done.header().expect("every answer has a header").revision());
        println!("acknowledged {number}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for counter in counting {
        counter.await.expect("counting goes on");
    }
    let count = retry("get", async || client.get("count", None).await).await;
    assert_eq!(count.kvs()[0].value(), (2 * COUNTS).to_string().as_bytes(), "one at a time held the lock");
    // Longer than its time to live, so that it was kept by who leads now.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let kept = retry("get", async || client.get("kept", None).await).await;
    assert_eq!(kept.kvs().len(), 1, "the lease was kept alive");
    over.store(true, Ordering::Relaxed);
    retry("put", async || client.put("work/end", "end", None).await).await;
    keeping.await.expect("the lease is kept");

    let all = GetOptions::new().with_prefix();
    let found = retry("get", async || client.get("work/0", Some(all.clone())).await).await;
    let there: Vec<_> = found.kvs().iter().map(|kv| kv.key_str().expect("text").to_owned()).collect();
    assert_eq!(there, taken.keys().cloned().collect::<Vec<_>>(), "nothing that was acknowledged is lost");
    let seen = watching.await.expect("the watch goes on");
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "every event in order, and none twice");
    for (key, revision) in taken {
        assert!(seen.contains(&(revision, key.clone())), "{key} of revision {revision} was not seen");
    }
}

/// What is seen of `work/`, until its end is; a stream that breaks off is taken up where it was.
async fn watch(mut client: Client, over: Arc<AtomicBool>) -> Vec<(i64, String)> {
    let (mut seen, mut next) = (Vec::new(), 1);
    loop {
        let options = WatchOptions::new().with_prefix().with_start_revision(next);
        let Ok((_watcher, mut stream)) = client.watch("work/", Some(options)).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        while let Ok(Some(answer)) = stream.message().await {
            assert!(!answer.canceled(), "{answer:?}");
            for event in answer.events() {
                assert_eq!(event.event_type(), EventType::Put);
                let kv = event.kv().expect("every event has a pair");
                next = kv.mod_revision() + 1;
                seen.push((kv.mod_revision(), kv.key_str().expect("text").to_owned()));
            }
            if over.load(Ordering::Relaxed) && seen.last().is_some_and(|(_, key)| key == "work/end") {
                return seen;
            }
        }
    }
}

async fn keep_alive(mut client: Client, lease: i64, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        let Ok((mut keeper, mut answers)) = client.lease_keep_alive(lease).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        while !over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            match (keeper.keep_alive().await, answers.message().await) {
                (Ok(()), Ok(Some(answer))) => assert!(answer.ttl() > 0, "the lease is lost"),
                _ => break,
            }
        }
    }
}

/// How often each of those that share the lock counts.
const COUNTS: usize = 20;

/// Reads and writes back under a lock: two that hold it at a time would lose a count.
async fn count_under_a_lock(mut client: Client) {
    for _ in 0..COUNTS {
        let lease = retry("lease grant", async || client.lease_grant(60, None).await).await.id();
        let lock = LockOptions::new().with_lease(lease);
        let held = retry("lock", async || client.lock("counting", Some(lock.clone())).await).await;
        let found = retry("get", async || client.get("count", None).await).await;
        let count = found.kvs().first().map_or(0, |kv| kv.value_str().expect("text").parse::<u64>().expect("a number"));
        retry("put", async || client.put("count", (count + 1).to_string(), None).await).await;
        retry("unlock", async || client.unlock(held.key()).await).await;
        retry("revoke", async || match client.lease_revoke(lease).await {
            // Revoked by a call whose answer was lost.
            Err(Error::GRpcStatus(status)) if status.message().contains("lease not found") => Ok(()),
            other => other.map(drop),
        })
        .await;
        tokio::time::sleep(PAUSE).await;
    }
}
