//! What outlives a process is read back from a file, so it may be anything: here is what is asked of it.

use gatewatch_parsers::Millis;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A saved state that cannot have been saved: what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsound(pub &'static str);

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the saved state is not sound: {}", self.0)
    }
}

impl std::error::Error for Unsound {}

/// Four times the year 10000: beyond all that logs say, and arithmetic on it does no harm.
const FARTHEST: Millis = 4 * 253_402_300_800_000;
/// No count gets there by counting, and thousands of such still add up.
const COUNT_MAX: u64 = 1 << 48;
/// A day is the longest step.
const STEP_MAX: Millis = 86_400_000;

/// Whether it is a time that can be reckoned with.
pub(crate) fn is_time(time: Millis) -> bool {
    (-FARTHEST..=FARTHEST).contains(&time)
}

/// Whether it is a count that can still grow.
pub(crate) fn is_count(count: u64) -> bool {
    count <= COUNT_MAX
}

/// An error, unless this holds.
pub(crate) fn ensure(holds: bool, what: &'static str) -> Result<(), Unsound> {
    if holds { Ok(()) } else { Err(Unsound(what)) }
}

/// A time, or a length of time.
pub(crate) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Millis, D::Error> {
    let time = Millis::deserialize(from)?;
    if is_time(time) { Ok(time) } else { Err(serde::de::Error::custom("no time")) }
}

/// A time that may be missing.
pub(crate) fn some_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Millis>, D::Error> {
    let time = Option::<Millis>::deserialize(from)?;
    if time.is_none_or(is_time) { Ok(time) } else { Err(serde::de::Error::custom("no time")) }
}

/// The length of a step.
pub(crate) fn step<'de, D: Deserializer<'de>>(from: D) -> Result<Millis, D::Error> {
    let step = Millis::deserialize(from)?;
    if (1..=STEP_MAX).contains(&step) { Ok(step) } else { Err(serde::de::Error::custom("no step")) }
}

/// Bytes, not a sequence of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        from.deserialize_byte_buf(AnyBytes)
    }
}

struct AnyBytes;

impl<'de> Visitor<'de> for AnyBytes {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes(bytes.to_vec()))
    }

    // Formats that have no bytes write numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Bytes, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = numbers.next_element()? {
            bytes.push(byte);
        }
        Ok(Bytes(bytes))
    }
}
