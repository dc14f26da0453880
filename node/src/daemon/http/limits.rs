//! Bounds of a port, each with its reason.

use std::time::Duration;

/// What a port bears. Tests set smaller ones.
#[derive(Clone, Copy, Debug)]
pub(in crate::daemon) struct Limits {
    /// Connections at a time, of all listeners together.
    pub(in crate::daemon) connections: usize,
    /// Of these, from one address.
    pub(in crate::daemon) connections_per_address: usize,
    /// Streams (requests under way) of one h2 connection: more wait in the client.
    pub(in crate::daemon) streams: u32,
    /// Requests under way of all connections together.
    pub(in crate::daemon) requests: usize,
    /// How long a client may take to say its first word, and over TLS' handshake.
    pub(in crate::daemon) first_word: Duration,
    /// A connection without a request for so long is ended.
    pub(in crate::daemon) idle: Duration,
}

impl Limits {
    /// - 2,048 connections: a client library needs one; each costs a descriptor and some ten kilobytes.
    /// - Half of these from one address: a benchmark, or a host of many services, must not lock out the others.
    /// - 1,024 streams: etcd's gRPC allowed 250 for years, while a thousand watches in a process are not unheard of.
    /// - 16,384 requests under way: nearly all are streams of watches, each a task of some kilobytes.
    /// - Ten seconds: three round trips to the other side of the world, some of them lost.
    /// - Ten minutes: twice what proxies give; a client library connects again without a word.
    pub(in crate::daemon) const USUAL: Self = Self {
        connections: 2_048,
        connections_per_address: 1_024,
        streams: 1_024,
        requests: 16_384,
        first_word: Duration::from_secs(10),
        idle: Duration::from_secs(600),
    };
}

/// A silent connection is probed after this, and given up after as long again.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long a client may take over a request's head.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long requests under way are given when the node stops.
pub(super) const DRAIN: Duration = Duration::from_secs(2);

/// After an accept that failed (no descriptors left), rather than spin.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections at a time that are told that there is no place; others are closed without a word.
pub(super) const REFUSALS_MAX: usize = 64;

/// How long one of these may take to ask and to hear it.
pub(super) const REFUSAL: Duration = Duration::from_secs(5);
