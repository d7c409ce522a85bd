//! What a log is packed in, told by its first bytes or its name, and the bytes within. For whoever
//! reads logs: commands read old ones whole, the tailer goes on inside of one.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt as _;

use flate2::bufread::MultiGzDecoder;

/// Compressed bytes asked for in one read.
const READ_BYTES: usize = 128 * 1024;
/// A log packed by someone, whose unpacked bytes come out.
pub type Unpacked = Box<dyn Read + Send>;

/// What a log is packed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Nothing.
    Plain,
    /// Any number of gzip members.
    Gzip,
    /// Any number of zstd frames.
    Zstd,
}

/// The most memory that a zstd frame may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// 128 MiB: what `zstd` itself takes without being told to take more.
    Usual,
    /// 32 MiB: more than any level asks for without `--long` or `--ultra`.
    Small,
}

impl Window {
    /// As a power of two.
    fn log(self) -> u32 {
        match self {
            Self::Usual => 27,
            Self::Small => 25,
        }
    }
}

impl Packing {
    /// Bytes of the head that are looked at.
    pub const HEAD_BYTES: usize = 4;

    /// By a file's first bytes, whatever its name.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one to be skipped: parallel compressors begin with an index.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// A packing that is known and not unpacked, by a file's first [`Self::FOREIGN_BYTES`].
    pub fn foreign(head: &[u8]) -> Option<&'static str> {
        match head {
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
            [
                b'B',
                b'Z',
                b'h',
                b'1'..=b'9',
                0x31,
                0x41,
                0x59,
                0x26,
                0x53,
                0x59,
                ..,
            ] => Some("bzip2"),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some("lz4"),
            [b'P', b'K', 3, 4, ..] => Some("zip"),
            _ => None,
        }
    }

    /// Bytes that [`Self::foreign`] looks at.
    pub const FOREIGN_BYTES: usize = 10;

    /// The bytes within `packed`: of all members or frames, one after the other. An error of kind
    /// [`io::ErrorKind::UnexpectedEof`] says that the data is cut off.
    ///
    /// # Errors
    ///
    /// When there is no memory for a decoder.
    pub fn unpack(
        self,
        packed: impl Read + Send + 'static,
        window: Window,
    ) -> io::Result<Unpacked> {
        let buffered = |packed| BufReader::with_capacity(READ_BYTES, packed);
        Ok(match self {
            Self::Plain => Box::new(packed),
            Self::Gzip => Box::new(Placed::new(MultiGzDecoder::new(buffered(packed)))),
            Self::Zstd => Box::new(Placed::new(zstd_decoder(buffered(packed), window)?)),
        })
    }
}

/// The name that a packed log had before it was packed; `None` for one that is not named like that.
pub fn unpacked_name(name: &OsStr) -> Option<&OsStr> {
    let name = name.as_bytes();
    ["gz", "zst", "zstd", "xz", "bz2", "lz4", "zip"]
        .iter()
        .find_map(|extension| {
            let stem = name.strip_suffix(extension.as_bytes())?;
            stem.strip_suffix(b".").filter(|stem| !stem.is_empty())
        })
        .map(OsStr::from_bytes)
}

fn zstd_decoder<R: BufRead>(packed: R, window: Window) -> io::Result<zstd::Decoder<'static, R>> {
    let mut decoder = zstd::Decoder::with_buffer(packed)?;
    decoder.window_log_max(window.log())?;
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
