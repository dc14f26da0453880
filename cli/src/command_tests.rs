use std::error::Error;

use super::*;

fn session(output: Output) -> Session {
    let target = Target::Socket("/nonexistent/admin.sock".into());
    Session { target, timeout: Duration::from_secs(5), output, look: Look::default(), one_line: false }
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
