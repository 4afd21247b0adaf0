//! What surrounds a snapshot's payload in its file, so that half a write, a flipped bit and a newer program's file are
//! told apart before anything is believed:
//!
//! ```text
//! magic 8 | format version 4 | seq 8 | length 8 | payload | CRC-32 of all before 4        little endian
//! ```
//!
//! This frame is the same for every version of the payload, for ever. The CRC is that of zip, which `flate2` brings
//! along; against torn writes and flipped bits it does as well as CRC-32C, and no crate is added for it.

use flate2::Crc;

/// The format of the payload. To be raised with every change to a type in a snapshot: the payload does not name its
/// fields, so that another version's cannot be read by accident.
pub const VERSION: u32 = 3;
/// No snapshot is larger, whatever its header says: read before anything is allocated.
pub const SIZE_MAX: usize = 64 << 20;

/// So many bytes stand around a payload.
pub const AROUND: usize = HEADER + CRC;

const MAGIC: &[u8; 8] = b"gatewtch";
const HEADER: usize = 8 + 4 + 8 + 8;
const CRC: usize = 4;

/// What is wrong with a snapshot's bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Too short, too long, or not what was written.
    #[error("{0}")]
    Corrupt(&'static str),
    /// Whole, and written by a newer program.
    #[error("is of format {0}, this program knows {VERSION}")]
    Newer(u32),
    /// Whole, and of a format that is read no more.
    #[error("is of format {0}, this program knows {VERSION} only")]
    Older(u32),
    /// Whole, and its payload is not what this version writes.
    #[error("cannot be decoded: {0}")]
    Payload(String),
    /// Unpacked, its payload is larger than any can be.
    #[error("comes to {0} bytes or more: no snapshot does")]
    TooLarge(usize),
}

/// A payload, framed.
#[must_use]
pub fn wrap(seq: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(AROUND + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&seq.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(payload);
    let crc = crc(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// The number and the payload of framed bytes.
///
/// # Errors
/// They are not what [`wrap`] gave, or another version's.
pub fn unwrap(bytes: &[u8]) -> Result<(u64, &[u8]), Flaw> {
    let (framed, sum) = bytes.split_last_chunk::<CRC>().ok_or(Flaw::Corrupt("is cut short"))?;
    let (magic, rest) = framed.split_first_chunk::<8>().ok_or(Flaw::Corrupt("is cut short"))?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or(Flaw::Corrupt("is cut short"))?;
    let (seq, rest) = rest.split_first_chunk::<8>().ok_or(Flaw::Corrupt("is cut short"))?;
    let (length, payload) = rest.split_first_chunk::<8>().ok_or(Flaw::Corrupt("is cut short"))?;
    if magic != MAGIC {
        return Err(Flaw::Corrupt("is no snapshot"));
    }
    if u64::from_le_bytes(*length) != payload.len() as u64 {
        return Err(Flaw::Corrupt("is not as long as it says"));
    }
    if crc(framed) != u32::from_le_bytes(*sum) {
        return Err(Flaw::Corrupt("has a wrong checksum"));
    }
    match u32::from_le_bytes(*version) {
        VERSION => Ok((u64::from_le_bytes(*seq), payload)),
        newer if newer > VERSION => Err(Flaw::Newer(newer)),
        older => Err(Flaw::Older(older)),
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The same bytes, said to be of another format: what tests of other versions are made of.
#[must_use]
pub fn of_version(bytes: &[u8], version: u32) -> Vec<u8> {
    let mut bytes = bytes.get(..bytes.len().saturating_sub(CRC)).unwrap_or_default().to_vec();
    if let Some(field) = bytes.get_mut(8..12) {
        field.copy_from_slice(&version.to_le_bytes());
    }
    let crc = crc(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_or_refused() {
        let bytes = wrap(7, b"what was counted");
        assert_eq!(unwrap(&bytes), Ok((7, &b"what was counted"[..])));
        for length in 0..bytes.len() {
            assert!(unwrap(&bytes[..length]).is_err(), "cut at {length}");
        }
        let mut more = bytes.clone();
        more.push(0);
        assert!(unwrap(&more).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(unwrap(&flipped), Err(Flaw::Corrupt(_))), "bit {bit}");
        }
        assert!(unwrap(&vec![0; bytes.len()]).is_err(), "what some filesystems leave after a power loss");
    }

    #[test]
    fn other_versions_are_told_apart_from_damage() {
        let bytes = wrap(7, b"x");
        assert_eq!(unwrap(&of_version(&bytes, VERSION + 1)), Err(Flaw::Newer(VERSION + 1)));
        assert_eq!(unwrap(&of_version(&bytes, 0)), Err(Flaw::Older(0)));
        assert_eq!(unwrap(&of_version(&bytes, VERSION)), Ok((7, &b"x"[..])));
    }
}
