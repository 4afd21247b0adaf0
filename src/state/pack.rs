//! A snapshot's payload, packed with zstd: counts and lines come to a half or less, so that it can be written more often.
//! What is unpacked is somebody else's word until it is checked, so both its size and the memory for it are bounded.

use super::frame::Flaw;
use std::io::Read;

/// No payload is larger when it is unpacked, whatever it says.
pub const PLAIN_MAX: usize = 32 << 20;

/// The fastest: an engine's thread waits for it.
const LEVEL: i32 = 1;
/// A large one names the same series in many places, far from each other: such repeats are looked for.
const LARGE: usize = 1 << 20;
/// How far back, as a power of two; so much unpacking may need beside the payload.
const WINDOW_LOG: u32 = 23;

/// Packs it.
///
/// # Errors
/// It is too large to be unpacked.
pub fn pack(plain: &[u8]) -> Result<Vec<u8>, Flaw> {
    if plain.len() > PLAIN_MAX {
        return Err(Flaw::TooLarge(plain.len()));
    }
    let packed = zstd::bulk::Compressor::new(LEVEL).and_then(|mut packer| {
        if plain.len() >= LARGE {
            packer.long_distance_matching(true)?;
            packer.window_log(WINDOW_LOG)?;
        }
        packer.compress(plain)
    });
    packed.map_err(|e| Flaw::Payload(e.to_string()))
}

/// What was packed.
///
/// # Errors
/// It was not packed so, or comes to more than [`PLAIN_MAX`].
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>, Flaw> {
    let flaw = |e: std::io::Error| Flaw::Payload(e.to_string());
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(flaw)?;
    decoder.window_log_max(WINDOW_LOG).map_err(flaw)?;
    let mut plain = Vec::new();
    decoder.take(PLAIN_MAX as u64 + 1).read_to_end(&mut plain).map_err(flaw)?;
    if plain.len() > PLAIN_MAX { Err(Flaw::TooLarge(plain.len())) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let counts: Vec<u8> = (0..100_000u32).map(|n| (n % 7) as u8).collect();
        for plain in [&b""[..], b"x", &counts] {
            assert_eq!(unpack(&pack(plain).unwrap()).unwrap(), plain);
        }
        assert!(pack(&counts).unwrap().len() < counts.len() / 10);
    }

    #[test]
    fn what_is_cut_short_or_goes_on_is_refused() {
        let packed = pack(b"what was counted, and what was counted after that").unwrap();
        for length in 1..packed.len() {
            assert!(unpack(&packed[..length]).is_err(), "cut at {length}");
        }
        assert!(unpack(&[&packed[..], b"x"].concat()).is_err());
    }

    /// A few kilobytes that come to gigabytes, and a header that asks for a window of as much.
    #[test]
    fn a_bomb_is_refused_within_bounds() {
        let large = vec![0; PLAIN_MAX + 1];
        assert_eq!(pack(&large), Err(Flaw::TooLarge(large.len())));
        let bomb = zstd::bulk::compress(&large, 19).unwrap();
        assert!(bomb.len() < 10_000);
        assert_eq!(unpack(&bomb), Err(Flaw::TooLarge(PLAIN_MAX + 1)));
        let many: Vec<u8> = bomb.repeat(50);
        assert_eq!(unpack(&many), Err(Flaw::TooLarge(PLAIN_MAX + 1)));
        // Magic, a descriptor without a size, and a window of 2^31 bytes.
        assert!(unpack(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8, 1, 0, 0]).is_err());
    }
}
