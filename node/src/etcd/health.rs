//! gRPC's health service, as etcd answers it: the node as a whole serves; parts of it are not told apart.

use autoradio_proto::health::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server::Health,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status};

pub(super) struct HealthService {
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

fn serving(request: &HealthCheckRequest) -> Result<HealthCheckResponse, Status> {
    if request.service.is_empty() {
        Ok(HealthCheckResponse { status: ServingStatus::Serving.into() })
    } else {
        Err(Status::not_found("unknown service"))
    }
}

#[tonic::async_trait]
impl Health for HealthService {
    type WatchStream = ReceiverStream<Result<HealthCheckResponse, Status>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        serving(request.get_ref()).map(Response::new)
    }

    /// Says that the node serves, and that it does not any more when it stops.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let first = serving(request.get_ref())?;
        let (sender, receiver) = mpsc::channel(2);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            // There is room for both: neither waits.
            let _told = sender.try_send(Ok(first));
            tokio::select! {
                () = sender.closed() => {}
                () = stop.cancelled() => {
                    let last = HealthCheckResponse { status: ServingStatus::NotServing.into() };
                    let _told = sender.try_send(Ok(last));
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
