//! The framing of the Git protocol: lines with their length in front, and side bands within them.

/// One packet of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    Data(&'a [u8]),
    Flush,
    Delimiter,
    ResponseEnd,
}

/// The packets of a body that is wholly at hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packets<'a> {
    rest: &'a [u8],
}

/// The longest content of one packet.
const DATA_BYTES_MAX: usize = 65_516;

impl<'a> Packets<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// What follows the packets read so far.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads the next packet; `None` at the end of the body.
    pub(crate) fn next(&mut self) -> Result<Option<Packet<'a>>, &'static str> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (length, rest) = self.rest.split_at_checked(4).ok_or("a packet is cut off")?;
        let length = std::str::from_utf8(length).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let length = length.ok_or("a packet has no length")?;
        let special = match length {
            0 => Some(Packet::Flush),
            1 => Some(Packet::Delimiter),
            2 => Some(Packet::ResponseEnd),
            3 => return Err("a packet has an impossible length"),
            _ => None,
        };
        if let Some(packet) = special {
            self.rest = rest;
            return Ok(Some(packet));
        }
        let (data, rest) = rest.split_at_checked(length - 4).ok_or("a packet is cut off")?;
        self.rest = rest;
        Ok(Some(Packet::Data(data)))
    }

    /// Reads lines up to the next flush or the end of the body.
    pub(crate) fn lines(&mut self) -> Result<Vec<String>, &'static str> {
        let mut lines = Vec::new();
        while let Some(Packet::Data(data)) = self.next()? {
            lines.push(line(data));
        }
        Ok(lines)
    }
}

/// The text of a packet without its line break.
pub(crate) fn line(data: &[u8]) -> String {
    String::from_utf8_lossy(data.strip_suffix(b"\n").unwrap_or(data)).into_owned()
}

/// What came over the side bands of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bands {
    /// Band 1.
    pub(crate) data: Vec<u8>,
    /// Band 2, meant for people; its end when it is long.
    pub(crate) progress: String,
    /// Band 3: the server gave up.
    pub(crate) error: Option<String>,
}

/// How much of the words for people is kept, in bytes.
const PROGRESS_BYTES_MAX: usize = 8 << 10;

/// Takes the side bands apart up to the flush that ends them.
pub(crate) fn demultiplex(packets: &mut Packets<'_>) -> Result<Bands, &'static str> {
    let mut bands = Bands::default();
    let mut progress = Vec::new();
    loop {
        let data = match packets.next()? {
            Some(Packet::Data(data)) => data,
            Some(Packet::Flush) => break,
            Some(_) => return Err("a side band has an unknown packet"),
            None => return Err("the side bands are cut off"),
        };
        match data.split_first() {
            Some((1, rest)) => bands.data.extend_from_slice(rest),
            Some((2, rest)) => {
                progress.extend_from_slice(rest);
                if progress.len() > 2 * PROGRESS_BYTES_MAX {
                    progress.drain(..progress.len() - PROGRESS_BYTES_MAX);
                }
            }
            Some((3, rest)) => {
                bands.error = Some(line(rest));
                break;
            }
            _ => return Err("a packet has an unknown side band"),
        }
    }
    bands.progress = String::from_utf8_lossy(&progress).into_owned();
    Ok(bands)
}

/// Appends a packet; content that does not fit into one is spread over several.
pub(crate) fn write_data(out: &mut Vec<u8>, data: &[u8]) {
    for chunk in data.chunks(DATA_BYTES_MAX) {
        out.extend_from_slice(format!("{:04x}", chunk.len() + 4).as_bytes());
        out.extend_from_slice(chunk);
    }
}

/// Appends a line with its line break.
pub(crate) fn write_line(out: &mut Vec<u8>, line: &str) {
    write_data(out, format!("{line}\n").as_bytes());
}

pub(crate) fn write_flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

pub(crate) fn write_delimiter(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0001");
}

/// Appends content on a side band.
#[cfg(feature = "server")]
pub(crate) fn write_band(out: &mut Vec<u8>, band: u8, data: &[u8]) {
    for chunk in data.chunks(DATA_BYTES_MAX - 1) {
        out.extend_from_slice(format!("{:04x}", chunk.len() + 5).as_bytes());
        out.push(band);
        out.extend_from_slice(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_read_back() {
        let mut body = Vec::new();
        write_line(&mut body, "hello");
        write_delimiter(&mut body);
        write_data(&mut body, &[7; 70_000]);
        write_flush(&mut body);
        body.extend_from_slice(b"PACK");
        let mut packets = Packets::new(&body);
        assert_eq!(packets.next(), Ok(Some(Packet::Data(b"hello\n"))));
        assert_eq!(packets.next(), Ok(Some(Packet::Delimiter)));
        assert_eq!(packets.lines().map(|lines| lines.len()), Ok(2));
        assert_eq!(packets.rest(), b"PACK");
    }

    #[test]
    fn broken_packets_are_errors() {
        for (body, why) in [
            ("00", "a packet is cut off"),
            ("0009ab", "a packet is cut off"),
            ("zzzzab", "a packet has no length"),
            ("0003", "a packet has an impossible length"),
        ] {
            assert_eq!(Packets::new(body.as_bytes()).next(), Err(why), "{body}");
        }
        assert_eq!(demultiplex(&mut Packets::new(b"0006\x09x0000")), Err("a packet has an unknown side band"));
        assert_eq!(demultiplex(&mut Packets::new(b"0006\x01x")), Err("the side bands are cut off"));
        let bands = demultiplex(&mut Packets::new(b"0006\x01x0006\x02p0006\x03e")).unwrap();
        assert_eq!((bands.data.as_slice(), bands.progress.as_str()), (b"x".as_slice(), "p"));
        assert_eq!(bands.error.as_deref(), Some("e"));
    }
}
