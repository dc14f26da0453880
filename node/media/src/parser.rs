//! From a source's bytes to frames.

use bytes::Bytes;

use crate::{Container, Cut, adts::AdtsParser, mp3::Mp3Parser, ogg::OggParser, raw::RawParser, webm::WebmParser};

#[cfg(test)]
mod tests;

/// Cuts a source's bytes into frames; never panics and never holds more than a frame's bound, whatever comes.
#[derive(Debug)]
pub struct Parser(Inner);

#[derive(Debug)]
enum Inner {
    Mp3(Mp3Parser),
    Adts(AdtsParser),
    Ogg(Box<OggParser>),
    Webm(Box<WebmParser>),
    Raw(RawParser),
}

impl Parser {
    /// A parser for a source's `Content-Type`.
    #[must_use]
    pub fn new(content_type: &str) -> Self {
        Self(match Container::of_mime(content_type) {
            Container::Mp3 => Inner::Mp3(Mp3Parser::default()),
            Container::Adts => Inner::Adts(AdtsParser::default()),
            Container::Ogg => Inner::Ogg(Box::default()),
            Container::WebM => Inner::Webm(Box::default()),
            Container::Bytes => Inner::Raw(RawParser),
        })
    }

    /// Takes the next bytes; gives the frames that are complete now.
    pub fn push(&mut self, bytes: &Bytes) -> Vec<Cut> {
        match &mut self.0 {
            Inner::Mp3(parser) => parser.push(bytes),
            Inner::Adts(parser) => parser.push(bytes),
            Inner::Ogg(parser) => parser.push(bytes),
            Inner::Webm(parser) => parser.push(bytes),
            Inner::Raw(parser) => parser.push(bytes),
        }
    }

    /// The source has ended: gives what is still held and whole.
    pub fn finish(&mut self) -> Vec<Cut> {
        match &mut self.0 {
            Inner::Mp3(parser) => parser.finish(),
            Inner::Adts(parser) => parser.finish(),
            Inner::Ogg(parser) => parser.finish(),
            Inner::Webm(parser) => parser.finish(),
            Inner::Raw(parser) => parser.finish(),
        }
    }

    /// What the stream is, for people: `mp3 44100 Hz stereo`, `ogg vorbis 48000 Hz stereo`; empty while unknown.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.0 {
            Inner::Mp3(parser) => parser.describe(),
            Inner::Adts(parser) => parser.describe(),
            Inner::Ogg(parser) => parser.describe(),
            Inner::Webm(parser) => parser.describe(),
            Inner::Raw(_) => String::new(),
        }
    }

    /// Bytes that were no part of any frame and were passed over, since the start.
    #[must_use]
    pub fn skipped_bytes(&self) -> u64 {
        match &self.0 {
            Inner::Mp3(parser) => parser.skipped_bytes(),
            Inner::Adts(parser) => parser.skipped_bytes(),
            Inner::Ogg(parser) => parser.skipped_bytes(),
            Inner::Webm(parser) => parser.skipped_bytes(),
            Inner::Raw(_) => 0,
        }
    }

    /// The title that the stream itself carries, when it has changed.
    pub fn take_title(&mut self) -> Option<String> {
        match &mut self.0 {
            Inner::Ogg(parser) => parser.take_title(),
            Inner::Mp3(_) | Inner::Adts(_) | Inner::Webm(_) | Inner::Raw(_) => None,
        }
    }
}
