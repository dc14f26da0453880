//! How commands become bytes of log entries: a format version, then postcard.

use serde::Deserialize;

use crate::Command;

/// The format of commands that this program writes, and the newest that it reads.
const FORMAT: u8 = 1;

/// An entry that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Written by a newer program: the node must stop and say so, never skip.
    #[error("the log entry has format {found}, this program reads up to {FORMAT}; upgrade autoradio first")]
    Newer {
        /// The format found.
        found: u8,
    },
    /// Damaged, or a command of a newer program.
    #[error("the log entry cannot be read: {0}; if another node runs a newer autoradio, upgrade this one")]
    Damaged(String),
}

impl Command {
    /// The command as bytes, a format version first.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("a command is plain data, which postcard always encodes")
    }

    /// The command from [`Command::encode`]'s bytes.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(|e| CodecError::Damaged(e.to_string())),
            Some((&found, _)) if found > FORMAT => Err(CodecError::Newer { found }),
            _ => Err(CodecError::Damaged("no format version".into())),
        }
    }
}

/// Node ids in JSON: hex strings, since JSON numbers lose bits beyond 2^53.
pub mod hex_serde {
    use super::Deserialize;

    /// Writes the id in hex for people's formats, as a number in binary ones.
    ///
    /// # Errors
    /// The serialiser's.
    pub fn serialize<S: serde::Serializer>(id: &u64, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.serialize_str(&format!("{id:x}")) } else { s.serialize_u64(*id) }
    }

    /// Reads what [`serialize`] wrote.
    ///
    /// # Errors
    /// Not a hex number.
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        if d.is_human_readable() {
            let text = String::deserialize(d)?;
            u64::from_str_radix(&text, 16).map_err(|_| serde::de::Error::custom(format!("{text:?} is not a hex id")))
        } else {
            u64::deserialize(d)
        }
    }
}
