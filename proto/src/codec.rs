//! How messages are turned into bytes on all connections, our own and etcd's clients'.

use std::marker::PhantomData;

use prost::Message;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, EncodeBuf, Encoder},
};
use tonic_prost::{ProstCodec, ProstDecoder};

/// What a call's buffers begin with. tonic gives each call two of 8 KiB, which costs more than reading the few hundred
/// bytes that most messages have; and what is kept of a message (a watch's key) keeps its buffer.
const BUFFER_BYTES: usize = 512;
/// As in tonic: a stream's messages are handed over when they have come to so many bytes.
const HAND_OVER_BYTES: usize = 32 * 1024;

/// [`ProstCodec`] with buffers as large as the messages are.
#[derive(Debug)]
pub struct FittingCodec<T, U> {
    of: PhantomData<(T, U)>,
}

impl<T, U> Default for FittingCodec<T, U> {
    fn default() -> Self {
        Self { of: PhantomData }
    }
}

impl<T, U> Codec for FittingCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = FittingEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        FittingEncoder { of: PhantomData }
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(buffers())
    }
}

fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, HAND_OVER_BYTES)
}

/// Encodes a message after it has made room for all of it at once.
#[derive(Debug)]
pub struct FittingEncoder<T> {
    of: PhantomData<T>,
}

impl<T: Message> Encoder for FittingEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(item.encoded_len());
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}
