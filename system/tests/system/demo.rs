//! The demo by itself: what `scripts/demo` shows to somebody who has no terminal.

use autoradio_system::{Host, Testbed, program};

#[test]
#[ignore = "needs root and network namespaces"]
fn the_demo_ends_by_itself_and_says_what_a_kill_cost() {
    // Its fixed ports are free on a host of its own.
    let testbed = Testbed::up(1);
    let binary = program("autoradio-node");
    let line = ["timeout", "90", binary.to_str().expect("a plain path"), "demo", "--seconds", "24"];
    let output = testbed.exec(Host::Node(1), &line);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr));
    let last = said.lines().last().expect("a line");
    println!("{last}");
    assert!(last.contains("killed node") && last.contains("no origin for "), "{last}");
    for mount in ["/demo.mp3", "/demo.opus"] {
        let of_mount = |part: &&str| part.trim_start().starts_with(mount);
        let heard = last.split('|').find(of_mount).unwrap_or_else(|| panic!("{mount}: {last}"));
        let number = |before: &str| -> u64 {
            let after = heard.split(before).nth(1).and_then(|rest| rest.split_whitespace().next());
            after.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{before}: {heard}"))
        };
        // Bytes of 64 and 32 kbit/s in 24 s; what the dead node had not passed on is under a second.
        assert!(number("heard ") > 40_000, "{heard}");
        assert!(number("lost ") <= 8_000, "{heard}");
        assert_eq!(number("twice "), 0, "{heard}");
        assert!(heard.contains("reconnected 0x"), "{heard}");
    }
}
