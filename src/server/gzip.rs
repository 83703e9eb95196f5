//! Pages in gzip (RFC 1952), put together from parts some of which were deflated before.
//!
//! A part refers to nothing before it and ends on a byte, so what was deflated once stands in the page of each reader as it is. What is
//! each one's own is short, and stands between in blocks that are not compressed. The checksum of the whole is put together from those of
//! the parts.

use std::cell::RefCell;

use crc32fast::Hasher;
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params};

/// No name and no time; made by nobody in particular.
const HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
/// An empty last block (RFC 1951, 3.2.4).
const END: [u8; 5] = [1, 0, 0, 0xFF, 0xFF];
/// How much a block may have that is not compressed, in bytes.
const MOST_STORED: usize = 0xFFFF;

/// For what is deflated once and sent many times,
const CAREFUL: i32 = 6;
/// and for what is sent once.
const FAST: i32 = 1;

thread_local! {
    static FOR_ONE: RefCell<Box<CompressorOxide>> = RefCell::new(compressor(FAST));
}

fn compressor(level: i32) -> Box<CompressorOxide> {
    // A window of 0 bits stands for DEFLATE without a header.
    Box::new(CompressorOxide::new(create_comp_flags_from_zip_params(level, 0, 0)))
}

/// A part that was deflated.
pub struct Deflated {
    blocks: Vec<u8>,
    sum: Hasher,
}

impl Deflated {
    pub fn new(bytes: &[u8]) -> Self {
        Self::with(&mut compressor(CAREFUL), bytes)
    }

    fn with(compressor: &mut CompressorOxide, bytes: &[u8]) -> Self {
        let mut blocks = Vec::with_capacity(bytes.len() / 4);
        compress_to_output(compressor, bytes, TDEFLFlush::Full, |more| {
            blocks.extend_from_slice(more);
            true
        });
        Self { blocks, sum: sum(bytes) }
    }
}

fn sum(bytes: &[u8]) -> Hasher {
    let mut sum = Hasher::new();
    sum.update(bytes);
    sum
}

/// What is being put together.
pub struct Gzip {
    bytes: Vec<u8>,
    sum: Hasher,
    /// How long it is when it is inflated, in bytes.
    length: usize,
}

impl Gzip {
    /// Has room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut all = Vec::with_capacity(bytes);
        all.extend(HEADER);
        Self { bytes: all, sum: Hasher::new(), length: 0 }
    }

    /// A part that was deflated and is so long when it is inflated, in bytes.
    pub fn deflated(&mut self, Deflated { blocks, sum }: &Deflated, length: usize) {
        self.bytes.extend_from_slice(blocks);
        self.sum.combine(sum);
        self.length += length;
    }

    /// A part as it is.
    pub fn stored(&mut self, part: &[u8]) {
        for block in part.chunks(MOST_STORED) {
            // No chunk is longer.
            let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
            self.bytes.push(0);
            self.bytes.extend(length.to_le_bytes());
            self.bytes.extend((!length).to_le_bytes());
            self.bytes.extend_from_slice(block);
        }
        self.sum.combine(&sum(part));
        self.length += part.len();
    }

    pub fn finish(self) -> Vec<u8> {
        let Self { mut bytes, sum, length } = self;
        bytes.extend(END);
        bytes.extend(sum.finalize().to_le_bytes());
        // Modulo 2^32.
        bytes.extend(&(length as u64).to_le_bytes()[..4]);
        bytes
    }
}

/// The whole for one reader.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    FOR_ONE.with_borrow_mut(|compressor| {
        compressor.reset();
        let deflated = Deflated::with(compressor, bytes);
        let mut gzip = Gzip::with_capacity(deflated.blocks.len() + 32);
        gzip.deflated(&deflated, bytes.len());
        gzip.finish()
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    /// By another implementation.
    fn inflated(bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut all).expect("gzip");
        all
    }

    proptest! {
        #[test]
        fn parts_that_were_deflated_and_parts_that_were_not_are_one_text(
            parts in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300), 0_usize..400), 0..8),
        ) {
            let mut gzip = Gzip::with_capacity(0);
            let mut expected = Vec::new();
            for (is_deflated, bytes, times) in parts {
                let bytes = bytes.repeat(times);
                if is_deflated {
                    gzip.deflated(&Deflated::new(&bytes), bytes.len());
                } else {
                    gzip.stored(&bytes);
                }
                expected.extend(bytes);
            }
            prop_assert_eq!(inflated(&gzip.finish()), expected);
        }

        #[test]
        fn the_whole_at_once_is_the_same(bytes in prop::collection::vec(any::<u8>(), 0..300), times in 0_usize..600) {
            let bytes = bytes.repeat(times);
            prop_assert_eq!(inflated(&gzip(&bytes)), bytes);
        }
    }
}
