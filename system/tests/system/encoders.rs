//! Every encoder with its habits, each against a node and heard by a decoder.

use std::time::Duration;

use autoradio_system::{Cluster, Credentials, Host, Job, Recording, decoder_complaints, wait_until};

const NODE: Host = Host::Node(1);

/// Starts an encoder with `command`, and hears it.
fn heard(cluster: &Cluster, credentials: &Credentials, name: &str, ending: &str, start: impl FnOnce() -> Job) {
    let mut encoder = start();
    wait_until(&format!("{name} is on air"), Duration::from_secs(20), || cluster.origin(1, &credentials.mount));
    let recording = Recording::start(&cluster.testbed, &format!("{name}.{ending}"), NODE, &credentials.mount);
    recording.wait_more(40_000, Duration::from_secs(25));
    let path = recording.path().to_owned();
    let _ = recording.finish();
    assert_eq!(decoder_complaints(&path), "", "{name}");
    encoder.kill();
    wait_until(&format!("{name} is off air"), Duration::from_secs(10), || {
        cluster.origin(1, &credentials.mount).is_none().then_some(())
    });
}

#[test]
#[ignore = "needs root, network namespaces and the encoders"]
fn real_encoders_are_heard() {
    let cluster = Cluster::up(1);
    let testbed = &cluster.testbed;
    let audio = testbed.folder("audio");
    let ogg = audio.join("tone.ogg").display().to_string();
    let mp3 = audio.join("tone.mp3").display().to_string();
    let wav = audio.join("tone.wav").display().to_string();
    for (file, codec) in [(&ogg, "libvorbis"), (&mp3, "libmp3lame"), (&wav, "pcm_s16le")] {
        let made = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-f", "lavfi", "-i", "anoisesrc=d=60:c=pink:a=0.2:r=44100", "-ac", "2"])
            .args(["-c:a", codec, "-b:a", "128k", file])
            .status()
            .expect("ffmpeg runs");
        assert!(made.success());
    }
    let url = |c: &Credentials| format!("icecast://{}:{}@10.77.0.1{}", c.username, c.password, c.mount);
    let client = |log: &str, line: &[&str]| testbed.spawn(Host::Client, log, line);

    let c = cluster.create_mount(1, "/ffmpeg-put.mp3");
    heard(&cluster, &c, "ffmpeg-put", "mp3", || {
        client(
            "ffmpeg-put.log",
            &[
                "ffmpeg",
                "-v",
                "error",
                "-nostdin",
                "-re",
                "-i",
                &mp3,
                "-c",
                "copy",
                "-f",
                "mp3",
                "-content_type",
                "audio/mpeg",
                &url(&c),
            ],
        )
    });
    let c = cluster.create_mount(1, "/ffmpeg-legacy.ogg");
    heard(&cluster, &c, "ffmpeg-legacy", "ogg", || {
        client(
            "ffmpeg-legacy.log",
            &[
                "ffmpeg",
                "-v",
                "error",
                "-nostdin",
                "-re",
                "-i",
                &ogg,
                "-c",
                "copy",
                "-f",
                "ogg",
                "-content_type",
                "application/ogg",
                "-legacy_icecast",
                "1",
                &url(&c),
            ],
        )
    });
    let c = cluster.create_mount(1, "/curl.mp3");
    heard(&cluster, &c, "curl", "mp3", || {
        let login = format!("{}:{}", c.username, c.password);
        let script = format!(
            "curl -s --limit-rate 16k -u '{login}' -H 'Content-Type: audio/mpeg' -T - http://10.77.0.1/_stream/curl.mp3 < {mp3}"
        );
        client("curl.log", &["bash", "-c", &script])
    });
    ezstream(&cluster, &ogg);
    ices2(&cluster);
    liquidsoap(&cluster);
    gstreamer(&cluster);
}

fn ezstream(cluster: &Cluster, ogg: &str) {
    let c = cluster.create_mount(1, "/ezstream.ogg");
    let config = cluster.testbed.folder("ezstream").join("ezstream.xml");
    let text = format!(
        "<ezstream><servers><server><protocol>HTTP</protocol><hostname>10.77.0.1</hostname><port>80</port>\
         <user>{}</user><password>{}</password><tls>none</tls></server></servers>\
         <streams><stream><mountpoint>/ezstream.ogg</mountpoint><format>Ogg</format></stream></streams>\
         <intakes><intake><filename>{}</filename></intake></intakes></ezstream>",
        c.username,
        c.password,
        cluster.testbed.folder("ezstream").join("list.m3u").display(),
    );
    std::fs::write(cluster.testbed.folder("ezstream").join("list.m3u"), format!("{ogg}\n")).expect("written");
    std::fs::write(&config, text).expect("written");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).expect("mode set");
    let config = config.display().to_string();
    heard(cluster, &c, "ezstream", "ogg", || {
        cluster.testbed.spawn(Host::Client, "ezstream.log", &["ezstream", "-v", "-c", &config])
    });
}

fn ices2(cluster: &Cluster) {
    let c = cluster.create_mount(1, "/ices2.ogg");
    let config = cluster.testbed.folder("ices2").join("ices.xml");
    let log = cluster.testbed.folder("ices2").display().to_string();
    let text = format!(
        "<?xml version=\"1.0\"?><ices><background>0</background><logpath>{log}</logpath><logfile>ices.log</logfile>\
         <loglevel>4</loglevel><consolelog>1</consolelog><stream><metadata><name>t</name></metadata>\
         <input><module>stdinpcm</module><param name=\"rate\">44100</param><param name=\"channels\">2</param></input>\
         <instance><hostname>10.77.0.1</hostname><port>80</port><username>{}</username><password>{}</password>\
         <mount>/ices2.ogg</mount><encode><nominal-bitrate>96000</nominal-bitrate><samplerate>44100</samplerate>\
         <channels>2</channels></encode></instance></stream></ices>",
        c.username, c.password
    );
    std::fs::write(&config, text).expect("written");
    let script = format!(
        "ffmpeg -v error -nostdin -re -f lavfi -i anoisesrc=c=pink:a=0.2:r=44100 -ac 2 -f s16le - | ices2 {}",
        config.display()
    );
    heard(cluster, &c, "ices2", "ogg", || cluster.testbed.spawn(Host::Client, "ices2.log", &["bash", "-c", &script]));
}

fn liquidsoap(cluster: &Cluster) {
    let c = cluster.create_mount(1, "/liquidsoap.mp3");
    let script = format!(
        "output.icecast(%mp3(bitrate=128), host=\"10.77.0.1\", port=80, user=\"{}\", password=\"{}\", \
         mount=\"liquidsoap.mp3\", noise())",
        c.username, c.password
    );
    heard(cluster, &c, "liquidsoap", "mp3", || {
        // liquidsoap refuses to run as root.
        cluster.testbed.spawn(
            Host::Client,
            "liquidsoap.log",
            &[
                "setpriv",
                "--reuid",
                "nobody",
                "--regid",
                "nogroup",
                "--clear-groups",
                "env",
                "HOME=/tmp",
                "liquidsoap",
                &script,
            ],
        )
    });
}

fn gstreamer(cluster: &Cluster) {
    let c = cluster.create_mount(1, "/gstreamer.ogg");
    heard(cluster, &c, "gstreamer", "ogg", || {
        cluster.testbed.spawn(
            Host::Client,
            "gstreamer.log",
            &[
                "gst-launch-1.0",
                "-q",
                "audiotestsrc",
                "is-live=true",
                "wave=pink-noise",
                "!",
                "audioconvert",
                "!",
                "vorbisenc",
                "bitrate=96000",
                "!",
                "oggmux",
                "max-delay=100000000",
                "!",
                "shout2send",
                "ip=10.77.0.1",
                "port=80",
                "mount=/gstreamer.ogg",
                &format!("username={}", c.username),
                &format!("password={}", c.password),
            ],
        )
    });
}

#[test]
#[ignore = "needs root, network namespaces and ffmpeg"]
fn titles_and_refusals() {
    let cluster = Cluster::up(2);
    let c = cluster.create_mount(1, "/live.mp3");
    let testbed = &cluster.testbed;
    let curl = |line: &[&str]| {
        let output = testbed
            .exec(Host::Client, &[&["curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}"], line].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let put = ["-X", "PUT", "-H", "Content-Type: audio/mpeg", "--data-binary", "x"];
    let login = format!("{}:{}", c.username, c.password);
    assert_eq!(curl(&[&put[..], &["-u", "source:wrong", "http://10.77.0.1/live.mp3"]].concat()), "401");
    assert_eq!(curl(&[&put[..], &["-u", &login, "http://10.77.0.1/unknown.mp3"]].concat()), "404");
    assert_eq!(curl(&["http://10.77.0.1/unknown.mp3"]), "404");
    assert_eq!(curl(&["http://10.77.0.1/live.mp3"]), "404");

    let _encoder = autoradio_system::FfmpegLoop::start(testbed, autoradio_system::Encoding::Mp3, &c, &[NODE]);
    wait_until("on air", Duration::from_secs(10), || cluster.origin(1, "/live.mp3"));
    // In use, on either node.
    for host in ["10.77.0.1", "10.77.0.2"] {
        assert_eq!(curl(&[&put[..], &["-u", &login, &format!("http://{host}/live.mp3")]].concat()), "403", "{host}");
    }
    // A title set at the node that is not the origin is heard at both.
    let set = "http://10.77.0.2/admin/metadata?mode=updinfo&mount=/live.mp3&song=Nina%20Simone%20-%20Sinnerman";
    assert_eq!(curl(&["-u", &login, set]), "200");
    assert_eq!(curl(&["-u", "source:wrong", set]), "401");
    for n in [1, 2] {
        wait_until("the title", Duration::from_secs(5), || {
            let shown = cluster.json(n, &["show-mount", "/live.mp3"]).to_string();
            shown.contains("Nina Simone - Sinnerman").then_some(())
        });
        let script =
            format!("curl -s -m 4 -H 'Icy-MetaData: 1' http://10.77.0.{n}/live.mp3 | strings | grep -m1 StreamTitle");
        let heard = testbed.exec(Host::Client, &["bash", "-c", &script]);
        assert!(String::from_utf8_lossy(&heard.stdout).contains("StreamTitle='Nina Simone - Sinnerman'"), "node {n}");
    }
}
