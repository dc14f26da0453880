use super::*;

fn urls() -> Vec<String> {
    vec!["https://a.example/live.mp3".into(), "https://b.example/live.mp3?x=1&y='2'".into()]
}

#[test]
fn m3u_names_all_nodes() {
    insta::assert_snapshot!(m3u("Radio\r\n#EXT <1>", &urls()), @r"
    #EXTM3U
    #EXTINF:-1,Radio #EXT <1>
    https://a.example/live.mp3
    #EXTINF:-1,Radio #EXT <1>
    https://b.example/live.mp3?x=1&y='2'
    ");
}

#[test]
fn pls_names_all_nodes() {
    insta::assert_snapshot!(pls(" Radio\0\tone ", &urls()), @r"
    [playlist]
    NumberOfEntries=2
    File1=https://a.example/live.mp3
    Title1=Radio one
    Length1=-1
    File2=https://b.example/live.mp3?x=1&y='2'
    Title2=Radio one
    Length2=-1
    Version=2
    ");
}

#[test]
fn xspf_names_all_nodes() {
    insta::assert_snapshot!(xspf("R&B \"<1>\"\u{1}\u{ffff}é", &urls()), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <playlist version="1" xmlns="http://xspf.org/ns/0/">
      <title>R&amp;B &quot;&lt;1&gt;&quot; é</title>
      <trackList>
        <track><location>https://a.example/live.mp3</location><title>R&amp;B &quot;&lt;1&gt;&quot; é</title></track>
        <track><location>https://b.example/live.mp3?x=1&amp;y=&apos;2&apos;</location><title>R&amp;B &quot;&lt;1&gt;&quot; é</title></track>
      </trackList>
    </playlist>
    "#);
}

#[test]
fn a_url_keeps_to_its_line() {
    let list = pls("", &["http://a/x\nFile2=http://evil/".into()]);
    assert_eq!(list.lines().filter(|line| line.starts_with("File")).count(), 1);
    assert_eq!(m3u("t", &[]), "#EXTM3U\n");
}
