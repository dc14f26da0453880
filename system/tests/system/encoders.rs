//! Every encoder with its habits, each against a node and heard by a decoder.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use autoradio_system::{
    Cluster, Credentials, Encoding, FfmpegLoop, Host, Job, Recording, Testbed, decoder_complaints, wait_until,
};

const NODE: Host = Host::Node(1);

/// Has `start` start an encoder, and hears it.
fn heard(name: &str, encoding: Encoding, start: impl FnOnce(&Testbed, &Credentials) -> Job) {
    let cluster = Cluster::up(1);
    let credentials = cluster.create_mount(1, &format!("/{name}.{}", encoding.ending()));
    let mut encoder = start(&cluster.testbed, &credentials);
    wait_until(&format!("{name} is on air"), Duration::from_secs(20), || cluster.origin(1, &credentials.mount));
    let file = format!("{name}.{}", encoding.ending());
    let recording = Recording::start(&cluster.testbed, &file, NODE, &credentials.mount);
    recording.wait_more(40_000, Duration::from_secs(25));
    assert_eq!(decoder_complaints(&recording.finish(encoding)), "", "{name}");
    encoder.kill();
    wait_until(&format!("{name} is off air"), Duration::from_secs(10), || {
        cluster.origin(1, &credentials.mount).is_none().then_some(())
    });
}

fn spawn(testbed: &Testbed, line: &[&str]) -> Job {
    testbed.spawn(Host::Client, "encoder.log", line)
}

/// A minute of audio.
fn file(testbed: &Testbed, encoding: Encoding) -> String {
    encoding.make_file(&testbed.folder("audio"), 60).display().to_string()
}

/// A configuration with a password in it: ezstream wants it to be nobody else's.
fn config(path: PathBuf, text: &str) -> String {
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("mode set");
    path.display().to_string()
}

fn ffmpeg(testbed: &Testbed, c: &Credentials, encoding: Encoding, options: &[&str]) -> Job {
    let file = file(testbed, encoding);
    let url = format!("icecast://{}:{}@{}{}", c.username, c.password, NODE.ip(), c.mount);
    let form = Path::new(&file).extension().and_then(|e| e.to_str()).expect("an ending");
    let line = ["ffmpeg", "-v", "error", "-nostdin", "-re", "-i", &file, "-c", "copy", "-f", form];
    spawn(testbed, &[&line[..], &["-content_type", encoding.mime()], options, &[&url]].concat())
}

fn curl_put(testbed: &Testbed, c: &Credentials) -> Job {
    let script = format!(
        "curl -s --limit-rate 16k -u '{}:{}' -H 'Content-Type: audio/mpeg' -T - http://{}/_stream{} < {}",
        c.username,
        c.password,
        NODE.ip(),
        c.mount,
        file(testbed, Encoding::Mp3)
    );
    spawn(testbed, &["bash", "-c", &script])
}

fn ezstream(testbed: &Testbed, c: &Credentials) -> Job {
    let folder = testbed.folder("ezstream");
    let list = config(folder.join("list.m3u"), &format!("{}\n", file(testbed, Encoding::Vorbis)));
    let text = format!(
        "<ezstream><servers><server><protocol>HTTP</protocol><hostname>{}</hostname><port>80</port>\
         <user>{}</user><password>{}</password><tls>none</tls></server></servers>\
         <streams><stream><mountpoint>{}</mountpoint><format>Ogg</format></stream></streams>\
         <intakes><intake><filename>{list}</filename></intake></intakes></ezstream>",
        NODE.ip(),
        c.username,
        c.password,
        c.mount,
    );
    spawn(testbed, &["ezstream", "-v", "-c", &config(folder.join("ezstream.xml"), &text)])
}

fn ices2(testbed: &Testbed, c: &Credentials) -> Job {
    let folder = testbed.folder("ices2");
    let text = format!(
        "<?xml version=\"1.0\"?><ices><background>0</background><logpath>{}</logpath><logfile>ices.log</logfile>\
         <loglevel>4</loglevel><consolelog>1</consolelog><stream><metadata><name>t</name></metadata>\
         <input><module>stdinpcm</module><param name=\"rate\">44100</param><param name=\"channels\">2</param></input>\
         <instance><hostname>{}</hostname><port>80</port><username>{}</username><password>{}</password>\
         <mount>{}</mount><encode><nominal-bitrate>96000</nominal-bitrate><samplerate>44100</samplerate>\
         <channels>2</channels></encode></instance></stream></ices>",
        folder.display(),
        NODE.ip(),
        c.username,
        c.password,
        c.mount,
    );
    let script = format!(
        "ffmpeg -v error -nostdin -re -f lavfi -i anoisesrc=c=pink:a=0.2:r=44100 -ac 2 -f s16le - | ices2 {}",
        config(folder.join("ices.xml"), &text)
    );
    spawn(testbed, &["bash", "-c", &script])
}

fn liquidsoap(testbed: &Testbed, c: &Credentials) -> Job {
    let script = format!(
        "output.icecast(%mp3(bitrate=128), host=\"{}\", port=80, user=\"{}\", password=\"{}\", mount=\"{}\", noise())",
        NODE.ip(),
        c.username,
        c.password,
        c.mount.trim_start_matches('/'),
    );
    // liquidsoap refuses to run as root.
    let nobody = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "env", "HOME=/tmp"];
    spawn(testbed, &[&nobody[..], &["liquidsoap", &script]].concat())
}

fn gstreamer(testbed: &Testbed, c: &Credentials) -> Job {
    let (ip, mount) = (format!("ip={}", NODE.ip()), format!("mount={}", c.mount));
    let (username, password) = (format!("username={}", c.username), format!("password={}", c.password));
    let line = ["gst-launch-1.0", "-q", "audiotestsrc", "is-live=true", "wave=pink-noise", "!", "audioconvert", "!"];
    let encode = ["vorbisenc", "bitrate=96000", "!", "oggmux", "max-delay=100000000", "!"];
    let send = ["shout2send", "port=80", &ip, &mount, &username, &password];
    spawn(testbed, &[&line[..], &encode, &send].concat())
}

macro_rules! heard {
    ($($test:ident $encoding:ident $start:expr;)*) => { $(
        #[test]
        #[ignore = "needs root, network namespaces and the encoder"]
        fn $test() {
            heard(stringify!($test).trim_end_matches("_is_heard"), Encoding::$encoding, $start);
        }
    )* };
}
heard! {
    ffmpeg_is_heard Mp3 |testbed, c| ffmpeg(testbed, c, Encoding::Mp3, &[]);
    ffmpeg_legacy_is_heard Vorbis |testbed, c| ffmpeg(testbed, c, Encoding::Vorbis, &["-legacy_icecast", "1"]);
    curl_is_heard Mp3 curl_put;
    ezstream_is_heard Vorbis ezstream;
    ices2_is_heard Vorbis ices2;
    liquidsoap_is_heard Mp3 liquidsoap;
    gstreamer_is_heard Vorbis gstreamer;
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

    let _encoder = FfmpegLoop::start(testbed, Encoding::Mp3, &c, &[NODE]);
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
