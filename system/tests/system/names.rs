//! DNS as dig sees it.

use std::time::Duration;

use autoradio_system::{Cluster, Host, wait_until};

#[test]
#[ignore = "needs root, network namespaces and dig"]
fn dig_gets_the_fit_nodes_and_no_dead_one() {
    let mut cluster = Cluster::up(3);
    let dig = |cluster: &Cluster, line: &[&str]| {
        let output = cluster.testbed.exec(Host::Client, &[&["dig", "+time=1", "+tries=1"], line].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let addresses = |text: String| {
        let mut all: Vec<_> = text.lines().filter(|l| l.starts_with("10.77.0.")).map(str::to_owned).collect();
        all.sort();
        all
    };
    let everyone = vec!["10.77.0.1".to_owned(), "10.77.0.2".into(), "10.77.0.3".into()];
    for n in 1..=3 {
        let server = format!("@10.77.0.{n}");
        // A node that has just started learns within a second who else is fit.
        for transport in ["+notcp", "+tcp"] {
            wait_until("all three in the apex", Duration::from_secs(5), || {
                let apex = dig(&cluster, &[&server, "+short", transport, "radio.test", "A"]);
                (addresses(apex) == everyone).then_some(())
            });
        }
        assert_eq!(addresses(dig(&cluster, &[&server, "+short", "host2.radio.test", "A"])), ["10.77.0.2"]);
        let ns = dig(&cluster, &[&server, "radio.test", "NS"]);
        assert!(
            ns.contains("status: NOERROR") && ns.contains("flags: qr aa") && ns.contains("host1.radio.test."),
            "{ns}"
        );
        assert!(ns.contains("ADDITIONAL SECTION") && ns.contains("10.77.0.1"), "glue: {ns}");
        assert!(dig(&cluster, &[&server, "nothing.radio.test", "A"]).contains("status: NXDOMAIN"));
        let nodata = dig(&cluster, &[&server, "host1.radio.test", "MX"]);
        assert!(nodata.contains("status: NOERROR") && nodata.contains("SOA"), "{nodata}");
        assert!(dig(&cluster, &[&server, "example.org", "A"]).contains("status: REFUSED"));
        assert!(dig(&cluster, &[&server, "RaDiO.tEsT", "A"]).contains("RaDiO.tEsT."));
    }
    cluster.kill(2);
    let (_, took) = wait_until("the dead node leaves the apex", Duration::from_secs(10), || {
        (addresses(dig(&cluster, &["@10.77.0.1", "+short", "radio.test", "A"])) == ["10.77.0.1", "10.77.0.3"])
            .then_some(())
    });
    println!("a dead node left DNS after {took:?}");
}
