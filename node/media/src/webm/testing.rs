//! Builds synthetic streams.

use super::ebml::{self, id};

/// An element with children or a value.
pub(crate) fn element(id: u32, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    ebml::put(&mut out, id, &parts.concat());
    out
}

/// A Segment or Cluster whose size is unknown.
pub(crate) fn open(id: u32) -> Vec<u8> {
    let mut out = Vec::new();
    ebml::put_id(&mut out, id);
    out.extend(ebml::SIZE_UNKNOWN);
    out
}

pub(crate) fn ebml_head() -> Vec<u8> {
    element(id::EBML, &[&element(id::DOC_TYPE, &[b"webm"])])
}

pub(crate) fn audio_track(number: u8, codec: &str, private: &[u8]) -> Vec<u8> {
    let audio = element(
        id::AUDIO,
        &[&element(id::SAMPLING_FREQUENCY, &[&48_000f32.to_be_bytes()]), &element(id::CHANNELS, &[&[2]])],
    );
    let head = [element(id::TRACK_NUMBER, &[&[number]]), element(id::TRACK_TYPE, &[&[2]])].concat();
    let codec = [element(id::CODEC_ID, &[codec.as_bytes()]), element(id::CODEC_PRIVATE, &[private])].concat();
    element(id::TRACK_ENTRY, &[&head, &codec, &audio])
}

pub(crate) fn video_track(number: u8) -> Vec<u8> {
    let size = [element(id::PIXEL_WIDTH, &[&[2, 128]]), element(id::PIXEL_HEIGHT, &[&[1, 224]])].concat();
    let head = [element(id::TRACK_NUMBER, &[&[number]]), element(id::TRACK_TYPE, &[&[1]])].concat();
    element(id::TRACK_ENTRY, &[&head, &element(id::CODEC_ID, &[b"V_VP8"]), &element(id::VIDEO, &[&size])])
}

/// EBML header, Segment, SeekHead, Info with a duration, Tracks, Tags.
pub(crate) fn header(tracks: &[&[u8]]) -> Vec<u8> {
    let scale = element(id::TIMECODE_SCALE, &[&1_000_000u32.to_be_bytes()]);
    let info = element(id::INFO, &[&element(id::CRC32, &[&[1, 2, 3, 4]]), &scale, &element(id::DURATION, &[&[0; 8]])]);
    let tags = element(id::TAGS, &[b"what a title may be"]);
    let seek = element(id::SEEK_HEAD, &[b"places"]);
    [ebml_head(), open(id::SEGMENT), seek, info, element(id::TRACKS, tracks), tags].concat()
}

pub(crate) fn cluster_head(time: u32) -> Vec<u8> {
    [open(id::CLUSTER), element(id::TIMECODE, &[&time.to_be_bytes()])].concat()
}

pub(crate) fn simple_block(track: u8, relative: i16, key: bool) -> Vec<u8> {
    let head = [&[0x80 | track][..], &relative.to_be_bytes(), &[if key { 0x80 } else { 0 }]].concat();
    element(id::SIMPLE_BLOCK, &[&head, b"sound"])
}

/// Audio of one track: clusters of a second, a block each 20 ms.
pub(crate) fn audio_clusters(from: u32, seconds: u32) -> Vec<u8> {
    let cluster = |second| {
        let blocks = (0..50).flat_map(|n| simple_block(1, n * 20, true));
        cluster_head(from + second * 1000).into_iter().chain(blocks).collect::<Vec<_>>()
    };
    (0..seconds).flat_map(cluster).collect()
}
