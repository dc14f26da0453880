use super::*;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

fn resolved(change: impl FnOnce(&mut Options), own: OwnFiles) -> Result<Clients, String> {
    let mut options = Options::default();
    change(&mut options);
    let facts = Facts { own_files: own, ..Facts::default() };
    resolve(&options, &facts, PEER).map_err(|error| error.to_string())
}

fn listen(options: &mut Options, urls: &[&str]) {
    options.listen_client_urls = urls.iter().map(|url| (*url).to_owned()).collect();
}

fn pair(options: &mut Options) {
    (options.cert_file, options.key_file) = (Some("/c".into()), Some("/k".into()));
}

fn own() -> OwnFiles {
    OwnFiles { ca: Some("/own/ca".into()), pair: Some(("/own/c".into(), "/own/k".into())) }
}

#[test]
fn plain_on_loopback_by_default() {
    let clients = resolved(|_| {}, OwnFiles::default()).unwrap();
    assert_eq!(clients.plain, ["127.0.0.1:2379".parse().unwrap()]);
    assert_eq!(clients.tls, ClientTls::default());
    assert_eq!(clients.advertised, ["http://127.0.0.1:2379"]);
}

#[test]
fn schemes_are_told_apart_and_all_addresses_are_told_as_one() {
    let clients = resolved(
        |options| {
            listen(options, &["http://127.0.0.1:2379", "https://0.0.0.0:2400/"]);
            pair(options);
            options.trusted_ca_file = Some("/ca".into());
        },
        OwnFiles::default(),
    );
    let clients = clients.unwrap();
    assert_eq!(clients.plain, ["127.0.0.1:2379".parse().unwrap()]);
    assert_eq!(clients.tls.listen, ["0.0.0.0:2400".parse().unwrap()]);
    let files = TlsFiles { cert: "/c".into(), key: "/k".into(), trusted_ca: Some("/ca".into()) };
    assert_eq!(clients.tls.files, Some(files));
    assert_eq!(clients.advertised, ["http://127.0.0.1:2379", "https://203.0.113.1:2400"]);
}

#[test]
fn files_that_are_at_hand_are_used_and_nobody_is_let_in_without_a_certificate() {
    let clients = resolved(|_| {}, own()).unwrap();
    assert_eq!((clients.plain.len(), clients.tls.listen.len()), (0, 1));
    assert_eq!(clients.advertised, ["https://127.0.0.1:2379"]);
    let files = TlsFiles { cert: "/own/c".into(), key: "/own/k".into(), trusted_ca: Some("/own/ca".into()) };
    assert_eq!(clients.tls.files, Some(files));
    let given = resolved(
        |options| {
            pair(options);
            listen(options, &["https://127.0.0.1:1"]);
        },
        own(),
    );
    let files = given.unwrap().tls.files.unwrap();
    assert_eq!((files.cert, files.trusted_ca), ("/c".into(), Some("/own/ca".into())));
    let plain = resolved(|options| listen(options, &["http://127.0.0.1:1"]), own()).unwrap();
    assert_eq!(plain.tls, ClientTls::default(), "by the administrator's word");
}

#[test]
fn without_files_it_is_the_clusters_ca() {
    let clients = resolved(|options| listen(options, &["https://192.0.2.1:2379"]), OwnFiles::default()).unwrap();
    assert_eq!(clients.tls, ClientTls { listen: vec!["192.0.2.1:2379".parse().unwrap()], files: None });
}

#[test]
fn what_does_not_go_together_is_refused_in_clear_words() {
    let none = OwnFiles::default;
    let error = |change: &dyn Fn(&mut Options)| resolved(change, none()).unwrap_err();
    insta::assert_snapshot!(
        error(&|options| options.cert_file = Some("/c".into())),
        @r#"--cert-file "/c": it needs its key: give --key-file too"#
    );
    insta::assert_snapshot!(
        error(&|options| options.key_file = Some("/k".into())),
        @r#"--key-file "/k": it needs its certificate: give --cert-file too"#
    );
    insta::assert_snapshot!(
        error(&|options| options.client_cert_auth = true),
        @r#"--client-cert-auth "true": it must be known whose certificates are good: give --trusted-ca-file"#
    );
    insta::assert_snapshot!(
        error(&|options| options.trusted_ca_file = Some("/ca".into())),
        @r#"--trusted-ca-file "/ca": clients show certificates over TLS only, which needs --cert-file and --key-file"#
    );
    insta::assert_snapshot!(
        error(&|options| listen(options, &["https://host:2379"])),
        @r#"--listen-client-urls "https://host:2379": give https://ADDR:PORT with an address of this machine"#
    );
}
