//! A method of a service, and its messages in JSON: bytes in base64, 64-bit numbers as strings, the fields' own names,
//! values of zero left out; read as protobuf's JSON is, with names in either form and those that are unknown left out.

use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde::Serializer;
use tonic::Status;

use super::{decode, encode};

/// A method of a service.
pub(super) struct Method {
    /// `/package.Service/Method`.
    pub(super) path: String,
    pub(super) client_streaming: bool,
    pub(super) server_streaming: bool,
    input: MessageDescriptor,
    output: MessageDescriptor,
}

impl Method {
    /// The method of a name like `package.Service/Method`.
    pub(super) fn find(pool: &DescriptorPool, name: &str) -> Option<Self> {
        let (service, name) = name.split_once('/')?;
        let service = pool.get_service_by_name(service)?;
        let method = service.methods().find(|method| method.name() == name)?;
        Some(Self {
            path: format!("/{}/{name}", service.full_name()),
            client_streaming: method.is_client_streaming(),
            server_streaming: method.is_server_streaming(),
            input: method.input(),
            output: method.output(),
        })
    }

    /// A request's bytes from its JSON; nothing at all is a request without fields.
    pub(super) fn parse(&self, json: &[u8]) -> Result<Vec<u8>, Status> {
        if json.iter().all(u8::is_ascii_whitespace) {
            return Ok(Vec::new());
        }
        // What follows the first value is not looked at, as in etcd.
        let mut json = serde_json::Deserializer::from_slice(json);
        let options = DeserializeOptions::new().deny_unknown_fields(false);
        let message = DynamicMessage::deserialize_with_options(self.input.clone(), &mut json, &options);
        message.map(|message| encode(&message)).map_err(|error| {
            let text = if error.is_eof() { "unexpected EOF".to_owned() } else { error.to_string() };
            Status::invalid_argument(text)
        })
    }

    /// An answer's JSON from its bytes.
    pub(super) fn show(&self, bytes: &[u8]) -> Result<Vec<u8>, Status> {
        let mut json = serde_json::Serializer::new(Vec::with_capacity(bytes.len() * 2));
        self.write(bytes, &mut json)?;
        Ok(json.into_inner())
    }

    fn write<S: Serializer>(&self, bytes: &[u8], json: S) -> Result<(), Status> {
        let message = decode(self.output.clone(), bytes)?;
        let options = SerializeOptions::new().use_proto_field_name(true);
        let written = message.serialize_with_options(json, &options);
        written.map(drop).map_err(|error| Status::internal(format!("the answer cannot be written: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use autoradio_proto::etcd::{
        etcdserverpb::{self as pb, compare, range_request},
        mvccpb,
    };
    use prost::Message;

    use super::*;

    fn method(name: &str) -> Method {
        Method::find(&DescriptorPool::decode(autoradio_proto::DESCRIPTORS).expect("it is one"), name)
            .expect("it is there")
    }

    fn request<M: Message + Default>(name: &str, json: &str) -> Result<M, String> {
        let bytes = method(name).parse(json.as_bytes()).map_err(|status| status.message().to_owned())?;
        Ok(M::decode(&bytes[..]).expect("it was encoded"))
    }

    #[test]
    fn requests_are_read_in_either_form() {
        let range = |json: &str| request::<pb::RangeRequest>("etcdserverpb.KV/Range", json);
        let want = pb::RangeRequest {
            key: "a".into(),
            limit: 5,
            sort_order: range_request::SortOrder::Descend.into(),
            sort_target: range_request::SortTarget::Version.into(),
            keys_only: true,
            ..pb::RangeRequest::default()
        };
        let camel = r#"{"key":"YQ==","limit":"5","sortOrder":"DESCEND","sortTarget":1,"keysOnly":true}"#;
        let names = r#"{"key":"YQ==","limit":5,"sort_order":2,"sort_target":"VERSION","keys_only":true,"new":[1]}"#;
        assert_eq!(range(camel).unwrap(), want);
        assert_eq!(range(names).unwrap(), want, "what is unknown is left out");
        assert_eq!(range(" \n").unwrap(), pb::RangeRequest::default());
        assert_eq!(range(r#"{"key":null} {"x":1}"#).unwrap(), pb::RangeRequest::default());
        assert_eq!(range(r#"{"key":"#).unwrap_err(), "unexpected EOF");
        assert!(range(r#"{"key":"a!"}"#).is_err() && range("[]").is_err() && range(r#"{"limit":"x"}"#).is_err());
        let nested = format!("{}{}", r#"{"success":[{"requestTxn":"#.repeat(200), "}]}".repeat(200));
        assert!(request::<pb::TxnRequest>("etcdserverpb.KV/Txn", &nested).is_err(), "too deep");
    }

    #[test]
    fn a_transaction_is_read_whole() {
        let json = r#"{"compare":[{"key":"YQ==","target":"MOD","modRevision":"7"}],
            "success":[{"request_put":{"key":"Yg==","value":"MQ=="}}]}"#;
        let txn: pb::TxnRequest = request("etcdserverpb.KV/Txn", json).unwrap();
        assert_eq!(txn.compare[0].target_union, Some(compare::TargetUnion::ModRevision(7)));
        let put = pb::PutRequest { key: "b".into(), value: "1".into(), ..pb::PutRequest::default() };
        assert_eq!(txn.success[0].request, Some(pb::request_op::Request::RequestPut(put)));
    }

    #[test]
    fn answers_have_the_fields_own_names_and_no_zeroes() {
        let header = pb::ResponseHeader { cluster_id: u64::MAX, revision: 2, ..pb::ResponseHeader::default() };
        let kv =
            mvccpb::KeyValue { key: "a".into(), create_revision: 2, value: "1".into(), ..mvccpb::KeyValue::default() };
        let found = pb::RangeResponse { header: Some(header), kvs: vec![kv], count: 1, more: false };
        let json = method("etcdserverpb.KV/Range").show(&found.encode_to_vec()).unwrap();
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"header":{"cluster_id":"18446744073709551615","revision":"2"},"kvs":[{"key":"YQ==","create_revision":"2","value":"MQ=="}],"count":"1"}"#
        );
        let member =
            pb::Member { id: 1, peer_ur_ls: vec!["http://a:1".into()], is_learner: true, ..pb::Member::default() };
        let list = pb::MemberListResponse { header: None, members: vec![member] };
        let json = method("etcdserverpb.Cluster/MemberList").show(&list.encode_to_vec()).unwrap();
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"members":[{"ID":"1","peerURLs":["http://a:1"],"isLearner":true}]}"#
        );
    }
}
