use std::{error::Error, path::PathBuf};

use autoradio_proto::admin::{
    DeleteMountReply, ListMountsReply, SetDrainedReply, StatusReply,
    admin_server::{self, AdminServer},
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, transport::Server};

use super::*;

type Answer<T> = Result<Response<T>, Status>;

/// A daemon that answers in all the ways there are.
struct Daemon;

#[tonic::async_trait]
impl admin_server::Admin for Daemon {
    async fn status(&self, _: Request<StatusRequest>) -> Answer<StatusReply> {
        let mounts = vec![MountInfo { title: "a\u{1b}[2J".into(), ..MountInfo::default() }];
        Ok(Response::new(StatusReply { health: "degraded".into(), voters: 3, mounts, ..StatusReply::default() }))
    }
    async fn list_mounts(&self, _: Request<ListMountsRequest>) -> Answer<ListMountsReply> {
        Err(Status::failed_precondition("this node is not part of a cluster"))
    }
    async fn get_mount(&self, _: Request<GetMountRequest>) -> Answer<MountInfo> {
        Err(Status::not_found("no mount /a"))
    }
    async fn create_mount(&self, request: Request<CreateMountRequest>) -> Answer<CreateMountReply> {
        let CreateMountRequest { name, username, .. } = request.into_inner();
        let mount = Some(MountInfo { name, username, ..MountInfo::default() });
        Ok(Response::new(CreateMountReply { mount, password: "secret".into() }))
    }
    async fn edit_mount(&self, _: Request<EditMountRequest>) -> Answer<MountInfo> {
        Err(Status::aborted("changed by others"))
    }
    async fn delete_mount(&self, _: Request<DeleteMountRequest>) -> Answer<DeleteMountReply> {
        std::future::pending().await
    }
    async fn reset_password(&self, _: Request<ResetPasswordRequest>) -> Answer<CreateMountReply> {
        Err(Status::unavailable("no leader"))
    }
    async fn set_drained(&self, _: Request<SetDrainedRequest>) -> Answer<SetDrainedReply> {
        Ok(Response::new(SetDrainedReply {}))
    }
}

/// A session with a [`Daemon`] of its own.
fn with_daemon(name: &str, output: Output) -> Session {
    let path = std::env::temp_dir().join(format!("radioctl-{name}-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let server = Server::builder().add_service(AdminServer::new(Daemon));
    tokio::spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
    Session { target: Target::Socket(path), ..session(output) }
}

fn remove_socket(session: &Session) {
    let Target::Socket(path) = &session.target else { panic!("{session:?}") };
    std::fs::remove_file(PathBuf::from(path)).unwrap();
}

#[tokio::test]
async fn every_answer_has_its_exit_code() {
    let session = Session { timeout: Duration::from_millis(500), ..with_daemon("codes", Output::Table) };
    let name = || String::from("/a");
    let edit =
        Command::EditMount { name: name(), username: Some("b".into()), settings: Settings::default(), clear: vec![] };
    let commands = [
        (Command::Status { watch: false }, Exit::Degraded),
        (Command::ListMounts, Exit::Failed),
        (Command::ShowMount { name: name() }, Exit::NotFound),
        (edit, Exit::Conflict),
        (Command::DeleteMount { name: name(), yes: true }, Exit::TimedOut),
        (Command::ResetPassword { name: name() }, Exit::NoMajority),
        (Command::Undrain { node: "host1".into() }, Exit::Ok),
    ];
    for (command, exit) in commands {
        let ended = session.run(&command).await;
        assert_eq!(ended.as_ref().map_or_else(CliError::exit, |outcome| outcome.exit), exit, "{command:?}: {ended:?}");
    }
    remove_socket(&session);
}

#[tokio::test]
async fn answers_are_json_and_harmless() {
    let session = with_daemon("json", Output::Json);
    let status = session.run(&Command::Status { watch: false }).await.unwrap();
    assert!(!status.text.contains('\u{1b}'), "{}", status.text);
    let json: serde_json::Value = serde_json::from_str(&status.text).unwrap();
    assert_eq!((&json["voters"], &json["mounts"][0]["title"]), (&3.into(), &"a\u{1b}[2J".into()));
    let create = Command::CreateMount { name: "/a".into(), username: "source".into(), settings: Settings::default() };
    let created = session.run(&create).await.unwrap();
    assert!(created.text.contains("secret"), "{}", created.text);
    remove_socket(&session);
}

fn session(output: Output) -> Session {
    let target = Target::Socket("/nonexistent/admin.sock".into());
    Session { target, login: None, timeout: Duration::from_secs(5), output, look: Look::default(), one_line: false }
}

#[tokio::test]
async fn the_version_needs_no_daemon() {
    let table = session(Output::Table).run(&Command::Version).await.unwrap();
    assert_eq!((table.text, table.exit), (format!("radioctl {}\n", env!("CARGO_PKG_VERSION")), Exit::Ok));
    let json = session(Output::Json).run(&Command::Version).await.unwrap();
    assert!(json.text.contains("\"version\": \""), "{}", json.text);
}

#[tokio::test]
async fn without_a_daemon_every_other_command_says_so() {
    let command = Command::Drain { node: "host1".into() };
    let error = session(Output::Table).run(&command).await.unwrap_err();
    assert!(matches!(error, CliError::NoSocket(_)), "{error}");
}

#[test]
fn a_password_and_a_mount_are_where_programs_look_for_them() {
    let mount = MountInfo { name: "/a".into(), username: "source".into(), ..MountInfo::default() };
    let reply = CreateMountReply { mount: Some(mount), password: "secret".into() };
    let outcome = session(Output::Json).with_password("create-mount /a", reply, render::created).unwrap();
    let json: serde_json::Value = serde_json::from_str(&outcome.text).unwrap();
    assert_eq!((&json["mount"]["username"], &json["password"]), (&"source".into(), &"secret".into()));
    assert!(json["mount"]["origin"].is_null());
    let nothing = session(Output::Json).with_password("x", CreateMountReply::default(), render::created);
    assert!(matches!(nothing, Err(CliError::Incomplete { .. })));
}

#[test]
fn a_lost_connection_is_no_answer() {
    let lost = Status::from_error(Box::<dyn Error + Send + Sync>::from("connection reset"));
    let error = failed("drain host1".into(), Effect::Changes, lost);
    assert_eq!(error.exit(), Exit::TimedOut, "{error}");
    let answered = failed("drain host1".into(), Effect::Changes, Status::unavailable("no leader"));
    assert_eq!(answered.exit(), Exit::NoMajority);
}
