//! From a DNS request to its response; the decision itself is a [`Zone`]'s.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hickory_proto::{
    op::{Edns, MessageType, Metadata, OpCode, ResponseCode},
    rr::{DNSClass, Name, Record, RecordType},
    serialize::binary::BinDecoder,
};
use hickory_server::{
    net::runtime::Time,
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    zone_handler::{MessageResponse, MessageResponseBuilder, Queries},
};

/// The largest UDP answer: fits each path without fragments (DNS flag day 2020).
const MAX_UDP_PAYLOAD: u16 = 1_232;

/// What a zone says to one question.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reply {
    /// NOERROR, NXDOMAIN, REFUSED…
    pub(super) code: ResponseCode,
    /// Whether it comes from the zone.
    pub(super) authoritative: bool,
    /// The answer section.
    pub(super) answers: Vec<Record>,
    /// The authority section.
    pub(super) authorities: Vec<Record>,
    /// The additional section, without OPT.
    pub(super) additionals: Vec<Record>,
}

impl Reply {
    /// An error without records.
    pub(super) fn error(code: ResponseCode) -> Self {
        Self { code, ..Self::default() }
    }
}

/// Who knows the answers.
pub(super) trait Zone: Send + Sync + Unpin + 'static {
    /// The answer to one question. `asked` is in the case that the client used; owner names keep it.
    fn reply(&self, asked: &Name, kind: RecordType, class: DNSClass) -> Reply;
}

/// hickory's face of a [`Zone`].
#[derive(Debug)]
pub(super) struct Handler<Z> {
    zone: Z,
}

impl<Z: Zone> Handler<Z> {
    pub(super) fn new(zone: Z) -> Self {
        Self { zone }
    }

    fn decide(&self, request: &Request) -> Reply {
        if request.metadata.op_code != OpCode::Query {
            return Reply::error(ResponseCode::NotImp);
        }
        let [query] = request.queries.queries() else { return Reply::error(ResponseCode::FormErr) };
        if request.version() > 0 {
            return Reply::error(ResponseCode::BADVERS);
        }
        let asked = query.original();
        let reply = || self.zone.reply(asked.name(), asked.query_type(), asked.query_class());
        catch_unwind(AssertUnwindSafe(reply)).unwrap_or_else(|_| {
            tracing::error!(name = %asked.name(), kind = %asked.query_type(), "a DNS answer panicked; this is a bug");
            Reply::error(ResponseCode::ServFail)
        })
    }
}

#[async_trait::async_trait]
impl<Z: Zone> RequestHandler for Handler<Z> {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let reply = self.decide(request);
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = reply.code;
        metadata.authoritative = reply.authoritative;
        metadata.recursion_available = false;
        let edns = request.edns.as_ref().map(|theirs| {
            let mut ours = Edns::new();
            // hickory truncates at what it finds here, so it must not be more than the client takes either.
            ours.set_max_payload(theirs.max_payload().clamp(512, MAX_UDP_PAYLOAD)).set_version(0);
            ours.set_dnssec_ok(theirs.flags().dnssec_ok);
            ours
        });
        // A wrong number of questions is not repeated: the count is what was wrong.
        let none = no_queries();
        let queries = if request.queries.len() == 1 { &request.queries } else { &none };
        let mut builder = MessageResponseBuilder::new(queries, None);
        if let Some(edns) = &edns {
            builder.edns(edns);
        }
        let response = builder.build(metadata, &reply.answers, &reply.authorities, [], &reply.additionals);
        match response_handle.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, "a DNS answer could not be sent");
                info_of(metadata)
            }
        }
    }
}

/// No question.
pub(super) fn no_queries() -> Queries {
    Queries::read(&mut BinDecoder::new(&[]), 0).expect("reading nothing cannot fail")
}

/// What hickory wants to know of a response that was not sent.
pub(super) fn info_of(metadata: Metadata) -> ResponseInfo {
    hickory_proto::op::Header { metadata, counts: Default::default() }.into()
}

/// An answer of a header alone, for requests that cannot be read: FORMERR.
pub(super) fn form_error(request: &[u8]) -> Option<Vec<u8>> {
    let id = u16::from_be_bytes([*request.first()?, *request.get(1)?]);
    let flags = *request.get(2)?;
    // A response is never answered, or two servers would talk for ever.
    if request.len() < 12 || flags & 0x80 != 0 {
        return None;
    }
    let mut metadata = Metadata::new(id, MessageType::Response, OpCode::from_u8((flags >> 3) & 0x0f));
    metadata.response_code = ResponseCode::FormErr;
    header_only(metadata)
}

/// An answer of header and question with TC=1: ask again over TCP.
pub(super) fn truncated(request: &Request) -> Option<Vec<u8>> {
    let mut metadata = Metadata::response_from_request(&request.metadata);
    metadata.truncation = true;
    let response = MessageResponseBuilder::from_message_request(request).build_no_records(metadata);
    encode(response, 512).map(|(bytes, _)| bytes)
}

fn header_only(metadata: Metadata) -> Option<Vec<u8>> {
    let none = no_queries();
    encode(MessageResponseBuilder::new(&none, None).build_no_records(metadata), 512).map(|(bytes, _)| bytes)
}

/// The response's bytes, at most `max_size`, with TC=1 where that cut records off.
pub(super) fn encode<'a>(
    response: MessageResponse<
        '_,
        'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
    >,
    max_size: u16,
) -> Option<(Vec<u8>, ResponseInfo)> {
    let mut bytes = Vec::with_capacity(512);
    let mut encoder = hickory_proto::serialize::binary::BinEncoder::new(&mut bytes);
    encoder.set_max_size(max_size);
    match response.destructive_emit(&mut encoder) {
        Ok(info) => Some((bytes, info)),
        Err(error) => {
            tracing::debug!(%error, "a DNS answer could not be encoded");
            None
        }
    }
}
