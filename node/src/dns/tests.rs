//! The server over real sockets, with a zone made for the test; `zone.rs` tests the real one.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket as StdUdp};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType, rdata::A},
};
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    handler::{Handler, Reply, Zone},
    server::Server,
    sockets,
};
use crate::metrics::Metrics;
use std::{sync::Arc, time::Duration};

const PATIENCE: Duration = Duration::from_secs(5);

/// One address below `radio.test.`, 200 below `many.radio.test.`, a panic below `panic.radio.test.`.
struct TestZone;

impl Zone for TestZone {
    fn reply(&self, asked: &Name, kind: RecordType, _: DNSClass) -> Reply {
        let lower = asked.to_lowercase().to_string();
        assert!(!lower.starts_with("panic."), "asked for it");
        if !lower.ends_with("radio.test.") {
            return Reply::error(ResponseCode::Refused);
        }
        let count = if lower.starts_with("many.") { 200 } else { 1 };
        let address = |i: u8| Record::from_rdata(asked.clone(), 10, RData::A(A(Ipv4Addr::new(192, 0, 2, i))));
        let answers = if kind == RecordType::A { (0..count).map(address).collect() } else { Vec::new() };
        Reply { authoritative: true, answers, ..Reply::default() }
    }
}

struct Running {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    fn start() -> Self {
        let sockets = sockets::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let running = Self {
            address: sockets.address,
            metrics: Arc::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let handler = Handler::new(TestZone);
        Server::new(handler, running.metrics.clone(), running.stop.clone(), running.tasks.clone()).serve(sockets);
        running
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        timeout(PATIENCE, self.tasks.wait()).await.expect("all loops end when told to");
    }

    async fn udp(&self, request: &[u8]) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(request, self.address).await.unwrap();
        let mut buffer = vec![0; 65_535];
        let length = timeout(Duration::from_secs(2), socket.recv(&mut buffer)).await.ok()?.unwrap();
        buffer.truncate(length);
        Some(buffer)
    }

    async fn ask(&self, request: &Message) -> Message {
        let bytes = self.udp(&request.to_vec().unwrap()).await.expect("an answer");
        Message::from_vec(&bytes).unwrap()
    }
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4_711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

#[tokio::test]
async fn an_answer_keeps_the_case_of_the_question() {
    let server = Running::start();
    let answer = server.ask(&question("rAdIo.TeSt.", RecordType::A)).await;
    assert_eq!(answer.metadata.id, 4_711);
    assert!(answer.metadata.authoritative && !answer.metadata.recursion_available);
    assert_eq!(answer.queries[0].name().to_string(), "rAdIo.TeSt.");
    assert_eq!(answer.answers[0].name.to_string(), "rAdIo.TeSt.");
    assert_eq!(server.metrics.dns_queries_total.get(), 1);
    server.stop().await;
}

#[tokio::test]
async fn errors_have_their_codes() {
    let server = Running::start();
    let mut notify = question("radio.test.", RecordType::A);
    notify.metadata.op_code = OpCode::Notify;
    assert_eq!(server.ask(&notify).await.metadata.response_code, ResponseCode::NotImp);

    let mut two = question("radio.test.", RecordType::A);
    two.add_query(Query::query(Name::from_ascii("radio.test.").unwrap(), RecordType::AAAA));
    assert_eq!(server.ask(&two).await.metadata.response_code, ResponseCode::FormErr);
    let none = Message::new(1, MessageType::Query, OpCode::Query);
    assert_eq!(server.ask(&none).await.metadata.response_code, ResponseCode::FormErr);

    let elsewhere = server.ask(&question("example.org.", RecordType::A)).await;
    assert_eq!(elsewhere.metadata.response_code, ResponseCode::Refused);
    assert!(!elsewhere.metadata.authoritative);

    let panicked = server.ask(&question("panic.radio.test.", RecordType::A)).await;
    assert_eq!(panicked.metadata.response_code, ResponseCode::ServFail);
    server.stop().await;
}

#[tokio::test]
async fn edns_is_answered_in_kind() {
    let server = Running::start();
    assert!(server.ask(&question("radio.test.", RecordType::A)).await.edns.is_none());

    let mut edns = Edns::new();
    edns.set_max_payload(4_096).set_dnssec_ok(true);
    let mut request = question("radio.test.", RecordType::A);
    request.set_edns(edns);
    let answer = server.ask(&request).await;
    let theirs = answer.edns.as_ref().expect("EDNS is echoed");
    assert_eq!(theirs.max_payload(), 1_232);
    assert!(theirs.flags().dnssec_ok, "DO is copied");

    let mut edns = Edns::new();
    edns.set_version(1);
    let mut request = question("radio.test.", RecordType::A);
    request.set_edns(edns);
    let answer = server.ask(&request).await;
    // 16 is BADVERS and BADSIG: hickory reads it as the other.
    assert_eq!(u16::from(answer.metadata.response_code), 16);
    assert!(answer.answers.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_long_answer_is_truncated_over_udp_and_whole_over_tcp() {
    let server = Running::start();
    let request = question("many.radio.test.", RecordType::A);
    for (payload, most) in [(None, 512), (Some(4_096), 1_232), (Some(700), 700)] {
        let mut request = request.clone();
        if let Some(payload) = payload {
            let mut edns = Edns::new();
            edns.set_max_payload(payload);
            request.set_edns(edns);
        }
        let bytes = server.udp(&request.to_vec().unwrap()).await.unwrap();
        assert!(bytes.len() <= most, "{} bytes with payload {payload:?}", bytes.len());
        assert!(Message::from_vec(&bytes).unwrap().metadata.truncation);
    }

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..2 {
        let bytes = request.to_vec().unwrap();
        stream.write_u16(bytes.len() as u16).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let length = timeout(PATIENCE, stream.read_u16()).await.unwrap().unwrap();
        let mut bytes = vec![0; length.into()];
        stream.read_exact(&mut bytes).await.unwrap();
        let answer = Message::from_vec(&bytes).unwrap();
        assert!(!answer.metadata.truncation);
        assert_eq!(answer.answers.len(), 200);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_response_is_never_answered() {
    let server = Running::start();
    let mut response = question("radio.test.", RecordType::A);
    response.metadata.message_type = MessageType::Response;
    assert_eq!(server.udp(&response.to_vec().unwrap()).await, None);
    // Nor one that cannot be read.
    assert_eq!(server.udp(&[0, 1, 0x80, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0xff]).await, None);
    server.stop().await;
}

#[tokio::test]
async fn a_flood_from_one_network_gets_truncated_answers_then_silence() {
    let server = Running::start();
    let request = question("radio.test.", RecordType::A).to_vec().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut whole, mut cut) = (0, 0);
    let mut buffer = [0; 1_500];
    for _ in 0..2_000 {
        socket.send_to(&request, server.address).await.unwrap();
        if let Ok(received) = timeout(Duration::from_millis(1), socket.recv(&mut buffer)).await {
            let answer = Message::from_vec(&buffer[..received.unwrap()]).unwrap();
            if answer.metadata.truncation { cut += 1 } else { whole += 1 }
        }
    }
    assert!(whole >= 400, "the burst is answered: {whole}");
    assert!(cut > 0 && server.metrics.dns_dropped_total.get() > 0, "{whole} whole, {cut} cut");
    server.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_said_so() {
    let taken = StdUdp::bind("127.0.0.1:0").unwrap();
    let error = sockets::bind(taken.local_addr().unwrap()).err().expect("UDP is taken");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let text = super::DnsError::Bind { address: taken.local_addr().unwrap(), error }.to_string();
    assert!(text.contains("another name server has it"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn random_bytes_never_stop_the_server(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..600), 1..40),
        flips in proptest::collection::vec((0usize..40, any::<u8>()), 0..40),
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let server = Running::start();
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            for packet in &packets {
                socket.send_to(packet, server.address).await.unwrap();
            }
            // Nearly right ones get further.
            let mut nearly = question("radio.test.", RecordType::A).to_vec().unwrap();
            for (at, byte) in flips {
                if let Some(there) = nearly.get_mut(at) {
                    *there = byte;
                }
                socket.send_to(&nearly, server.address).await.unwrap();
            }
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            // The server may close at any byte.
            let _ = stream.write_all(&packets.concat()).await;
            for _ in 0..4 {
                let answer = server.ask(&question("radio.test.", RecordType::A)).await;
                assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
            }
            server.stop().await;
        });
    }
}
