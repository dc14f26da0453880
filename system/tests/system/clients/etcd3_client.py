"""The ordinary work of a program that uses etcd, by Python's etcd3, while a node is killed.

etcd3_client.py HOST... prints "acknowledged N" for each write that was taken while it works through the kill, and
"all is well" at the end; what is wrong ends it with an exception. clients.rs runs it, and kills.
"""

import sys
import threading
import time

import etcd3
import grpc

WRITES = 300
LIMIT_S = 30
PAUSE_S = 0.05

# What a call fails with while its node is gone or a leader is elected.
PASSING = (etcd3.exceptions.Etcd3Exception, grpc.RpcError, ValueError)


class Anywhere:
    """A client of one host, and of the next one when that fails: etcd3 knows a single endpoint."""

    def __init__(self, hosts):
        self.hosts = list(hosts)
        self.client = None

    def connect(self):
        if self.client is None:
            self.client = etcd3.client(host=self.hosts[0], port=2379, timeout=5)
        return self.client

    def next(self):
        self.client = None
        self.hosts.append(self.hosts.pop(0))

    def retry(self, what, call):
        begun = time.monotonic()
        while True:
            try:
                return call(self.connect())
            except PASSING as error:
                if time.monotonic() - begun > LIMIT_S:
                    raise AssertionError(f"{what}: {error!r}") from error
            self.next()
            time.sleep(PAUSE_S)


def everything_once(etcd, when):
    """Each service that the library offers, once."""
    key = f"once/{when}/".__add__
    etcd.retry("put", lambda c: c.put(key("a"), "1"))
    assert etcd.retry("get", lambda c: c.get(key("a")))[0] == b"1"
    succeeded, answers = etcd.retry("txn", lambda c: c.transaction(
        compare=[c.transactions.value(key("a")) == "1", c.transactions.version(key("a")) > 0],
        success=[c.transactions.put(key("b"), "2"), c.transactions.get(key("a"))],
        failure=[c.transactions.put(key("b"), "no")]))
    assert succeeded and answers[1][0][0] == b"1", answers
    assert etcd.retry("replace", lambda c: c.replace(key("a"), "1", "1"))
    assert not etcd.retry("put if not exists", lambda c: c.put_if_not_exists(key("a"), "9"))
    found = etcd.retry("prefix", lambda c: [m.key.decode() for _, m in c.get_prefix(key(""), sort_order="descend")])
    assert found == [key("b"), key("a")], found

    lease = etcd.retry("lease", lambda c: c.lease(60))
    etcd.retry("put", lambda c: c.put(key("leased"), "3", lease=lease.id))
    info = etcd.retry("lease info", lambda c: c.get_lease_info(lease.id))
    assert info.TTL > 30 and list(info.keys) == [key("leased").encode()], info
    assert etcd.retry("refresh", lambda c: next(iter(c.refresh_lease(lease.id)))).TTL == 60
    lock = etcd.retry("lock", lambda c: c.lock(key("lock"), ttl=20))
    assert lock.acquire(timeout=10) and lock.is_acquired()
    # That another holds a lock cannot be asked here: Debian's etcd3 does not fit Debian's tenacity when it waits.
    assert lock.release()

    members = etcd.retry("members", lambda c: list(c.members))
    assert sorted(m.name for m in members) == ["host1", "host2", "host3"], members
    status = etcd.retry("status", lambda c: c.status())
    assert status.version.startswith("3.") and status.leader is not None
    assert etcd.retry("hash", lambda c: c.hash())
    assert not etcd.retry("alarms", lambda c: list(c.list_alarms()))
    etcd.retry("revoke", lambda c: c.revoke_lease(lease.id))
    assert etcd.retry("get", lambda c: c.get(key("leased")))[0] is None
    gone = etcd.retry("delete", lambda c: c.delete_prefix(key("")))
    assert gone.deleted == 2, gone


def watch(hosts, seen):
    """Gathers what is seen of work/ until its end is; a stream that breaks off is taken up where it was."""
    etcd, start = Anywhere(hosts), 1
    while True:
        try:
            answers, cancel = etcd.connect().watch_prefix_response("work/", start_revision=start)
            for answer in answers:
                for event in answer.events:
                    start = event.mod_revision + 1
                    seen.append((event.mod_revision, event.key.decode()))
                    if event.key == b"work/end":
                        cancel()
                        return
        except PASSING:
            etcd.next()
            time.sleep(PAUSE_S)


def keep_alive(hosts, lease, over, lost):
    etcd = Anywhere(hosts)
    while not over.wait(1):
        if etcd.retry("refresh", lambda c: next(iter(c.refresh_lease(lease)))).TTL <= 0:
            lost.append(lease)


def through_the_kill(hosts):
    """Writes, keeps a lease and watches, and says of every write when it was taken."""
    etcd, seen, over, lost = Anywhere(hosts), [], threading.Event(), []
    # Each begins at another host: one of them is killed.
    watcher = threading.Thread(target=watch, args=(hosts[1:] + hosts[:1], seen))
    lease = etcd.retry("lease", lambda c: c.lease(10)).id
    keeper = threading.Thread(target=keep_alive, args=(hosts[2:] + hosts[:2], lease, over, lost))
    etcd.retry("put", lambda c: c.put("kept", "alive", lease=lease))
    watcher.start()
    keeper.start()
    taken = {}
    for number in range(WRITES):
        key = f"work/{number:04}"
        taken[key] = etcd.retry("put", lambda c: c.put(key, str(number))).header.revision
        print(f"acknowledged {number}", flush=True)
        time.sleep(0.01)
    # Longer than its time to live, so that it was kept by who leads now.
    time.sleep(11)
    assert not lost and etcd.retry("get", lambda c: c.get("kept"))[0] == b"alive", "the lease was kept alive"
    over.set()
    keeper.join()
    found = etcd.retry("prefix", lambda c: [m.key.decode() for _, m in c.get_prefix("work/0")])
    assert sorted(found) == sorted(taken), "nothing that was acknowledged is lost"
    etcd.retry("put", lambda c: c.put("work/end", "end"))
    watcher.join(LIMIT_S)
    assert not watcher.is_alive(), "the watch goes on to the end"
    revisions = [revision for revision, _ in seen]
    assert all(a < b for a, b in zip(revisions, revisions[1:])), "every event in order, and none twice"
    missing = {(revision, key) for key, revision in taken.items()} - set(seen)
    assert not missing, missing


def main():
    hosts = sys.argv[1:]
    etcd = Anywhere(hosts)
    everything_once(etcd, "before")
    through_the_kill(hosts)
    everything_once(Anywhere(hosts), "after")
    print("all is well", flush=True)


main()
