//! Where a handler puts its response: a buffer, which the socket's own loop sends.

use std::sync::{Arc, Mutex};

use hickory_proto::rr::Record;
use hickory_server::{
    net::{NetError, runtime::TokioTime, xfer::Protocol},
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    zone_handler::MessageResponse,
};

use super::handler::encode;

/// Takes one response.
#[derive(Clone, Debug)]
struct Slot {
    protocol: Protocol,
    bytes: Arc<Mutex<Option<Vec<u8>>>>,
}

#[async_trait::async_trait]
impl ResponseHandler for Slot {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let max_size = match self.protocol {
            Protocol::Udp => response.edns().map_or(512, |edns| edns.max_payload()),
            _ => u16::MAX,
        };
        let (bytes, info) =
            encode(response, max_size).ok_or_else(|| NetError::from("the answer could not be encoded"))?;
        *self.bytes.lock().expect("nothing panics while it holds the slot") = Some(bytes);
        Ok(info)
    }
}

/// The response's bytes to one request, or `None` where there is none.
pub(super) async fn answer(handler: &impl RequestHandler, request: &Request) -> Option<Vec<u8>> {
    let slot = Slot { protocol: request.protocol(), bytes: Arc::default() };
    handler.handle_request::<_, TokioTime>(request, slot.clone()).await;
    slot.bytes.lock().expect("nothing panics while it holds the slot").take()
}
