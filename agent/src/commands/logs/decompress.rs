//! What a log is packed in, told by its first bytes, and the bytes within.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::blocks::Input;

/// Compressed bytes asked for in one read.
const READ_BYTES: usize = 128 * 1024;
/// A frame may ask for so much memory, as a power of two (128 MiB): what `zstd` itself takes
/// without being told to take more.
const MAX_WINDOW_LOG: u32 = 27;

/// What a log is packed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    /// Bytes of the head that are looked at.
    pub(super) const HEAD_BYTES: usize = 4;

    /// By a file's first bytes, whatever its name.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one to be skipped: parallel compressors begin with an index.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// The bytes within `packed`: of all members or frames, one after the other.
    ///
    /// # Errors
    ///
    /// When there is no memory for a decoder.
    pub(super) fn unpack(self, packed: impl Read + Send + 'static) -> io::Result<Input> {
        let buffered = |packed| BufReader::with_capacity(READ_BYTES, packed);
        Ok(match self {
            Self::Plain => Box::new(packed),
            Self::Gzip => Box::new(Placed::new(MultiGzDecoder::new(buffered(packed)))),
            Self::Zstd => Box::new(Placed::new(zstd_decoder(buffered(packed))?)),
        })
    }
}

fn zstd_decoder<R: BufRead>(packed: R) -> io::Result<zstd::Decoder<'static, R>> {
    let mut decoder = zstd::Decoder::with_buffer(packed)?;
    decoder.window_log_max(MAX_WINDOW_LOG)?;
    Ok(decoder)
}

/// Says of an error where it happened: how much came out before it.
struct Placed<R> {
    decoder: R,
    out: u64,
}

impl<R> Placed<R> {
    fn new(decoder: R) -> Self {
        Self { decoder, out: 0 }
    }
}

impl<R: Read> Read for Placed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.decoder.read(buffer) {
            Ok(count) => {
                self.out += count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let what = match error.kind() {
                    io::ErrorKind::UnexpectedEof => "the compressed data is cut off".to_owned(),
                    _ => format!("the compressed data is damaged ({error})"),
                };
                let text = format!("{what} behind {} bytes of text", self.out);
                Err(io::Error::new(error.kind(), text))
            }
        }
    }
}

#[cfg(test)]
mod tests;
