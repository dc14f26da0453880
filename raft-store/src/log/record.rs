//! How entries and marks become values of sled: a format version, postcard, and a checksum of our own.
//!
//! sled checks what it reads from the disk. This checks that what it gives is what was written under that name, and says
//! so in words that help.

use std::io;

use serde::{Serialize, de::DeserializeOwned};

/// The format of values that this program writes, and the newest that it reads. 1 had no checksum.
const FORMAT: u8 = 2;
const CHECKSUM_BYTES: usize = 4;

/// `value` as it is kept under `name`.
pub(super) fn encode<T: Serialize>(name: &[u8], value: &T) -> io::Result<Vec<u8>> {
    let mut bytes = postcard::to_extend(value, vec![FORMAT]).map_err(io::Error::other)?;
    bytes.extend(checksum(name, &bytes).to_be_bytes());
    Ok(bytes)
}

/// What [`encode`] made under the same name. `InvalidData` where it is damaged, `Unsupported` where it is newer.
pub(super) fn decode<T: DeserializeOwned>(name: &[u8], bytes: &[u8]) -> io::Result<T> {
    let body = match bytes.first() {
        Some(&FORMAT) => {
            let (checked, found) =
                bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| damaged("it is cut off"))?;
            if checksum(name, checked) != u32::from_be_bytes(*found) {
                return Err(damaged("its checksum is wrong"));
            }
            checked.get(1..).ok_or_else(|| damaged("it is cut off"))?
        }
        Some(1) => &bytes[1..],
        Some(&found) if found > FORMAT => {
            let text = format!("the log has format {found}, this program reads up to {FORMAT}; upgrade autoradio");
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        _ => return Err(damaged("it has no format")),
    };
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(damaged("it is too long")),
        Err(error) => Err(damaged(&error.to_string())),
    }
}

fn checksum(name: &[u8], bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(name), bytes)
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a record of the log is damaged: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turned_bit_is_noticed_and_each_wrong_name() {
        let value = (7u64, "some text".to_owned());
        let bytes = encode(b"a", &value).unwrap();
        assert_eq!(decode::<(u64, String)>(b"a", &bytes).unwrap(), value);
        assert!(decode::<(u64, String)>(b"b", &bytes).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<(u64, String)>(b"a", &bytes).is_err(), "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert!(decode::<(u64, String)>(b"a", &bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn the_format_before_is_read_and_a_newer_one_says_what_to_do() {
        let old = postcard::to_extend(&7u64, vec![1]).unwrap();
        assert_eq!(decode::<u64>(b"a", &old).unwrap(), 7);
        let newer = decode::<u64>(b"a", &[FORMAT + 1, 0]).unwrap_err();
        assert_eq!(newer.kind(), io::ErrorKind::Unsupported);
        assert!(newer.to_string().contains("upgrade autoradio"), "{newer}");
    }
}
