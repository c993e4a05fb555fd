//! Charts packed as `.tgz`: unpacked in memory, within Helm's limits, paths checked.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::chart::ChartFile;
use super::error::HelmError;
use super::go_text::{clean, quote};
use crate::budget::Budget;
use crate::tree::spent;

/// Largest file of a chart.
pub(crate) const FILE_BYTES_MAX: u64 = 5 * 1024 * 1024;
/// Largest chart.
const CHART_BYTES_MAX: u64 = 100 * 1024 * 1024;

/// Unpacks a chart. Each file has the path that it has inside the chart's folder.
///
/// The error is Helm's own; who loads a chart shows less of it.
pub(crate) fn unpack(archive: &[u8], place: &str, budget: &Budget) -> Result<Vec<ChartFile>, HelmError> {
    if !archive.starts_with(&[0x1f, 0x8b]) {
        return refuse("gzip: invalid header");
    }
    let mut files = Vec::new();
    let mut left = CHART_BYTES_MAX;
    // The headers of a tar cost no more than its files do, so the whole stream is bounded.
    let stream = MultiGzDecoder::new(archive).take(CHART_BYTES_MAX * 2);
    let mut unpacked = tar::Archive::new(stream);
    let broken = |error: std::io::Error| HelmError::Load(error.to_string());
    for entry in unpacked.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        budget.file().map_err(|what| spent(place, what))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind == EntryType::Directory || name.ends_with('/') {
            continue;
        }
        if matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader) {
            continue;
        }
        let path = path_in_chart(&name)?;
        let size = entry.size();
        if size > left {
            return too_large();
        }
        if size > FILE_BYTES_MAX {
            return refuse(format!(
                "decompressed chart file {} is larger than the maximum file size {FILE_BYTES_MAX}",
                quote(&name)
            ));
        }
        let mut data = Vec::new();
        let count = entry.by_ref().take(left).read_to_end(&mut data).map_err(broken)?;
        budget.read(count).map_err(|what| spent(place, what))?;
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        left = left.saturating_sub(count);
        if count < size || left == 0 {
            return too_large();
        }
        files.push(ChartFile { name: path, data: without_mark(Bytes::from(data)) });
    }
    if files.is_empty() { refuse("no files in chart archive") } else { Ok(files) }
}

/// The path of an entry without the chart's folder.
fn path_in_chart(name: &str) -> Result<String, HelmError> {
    let delimiter = if name.contains('\\') { '\\' } else { '/' };
    let (folder, rest) = name.split_once(delimiter).unwrap_or((name, ""));
    let rest = rest.replace(delimiter, "/");
    if rest.starts_with('/') {
        return refuse("chart illegally contains absolute paths");
    }
    let path = clean(&rest);
    if path == "." {
        return refuse(format!("chart illegally contains content outside the base directory: {}", quote(name)));
    }
    if path.starts_with("..") {
        return refuse("chart illegally references parent directory");
    }
    if matches!(path.as_bytes(), [letter, b':', b'/', ..] if letter.is_ascii_alphabetic()) {
        return refuse("chart contains illegally named files");
    }
    if folder == "Chart.yaml" {
        return refuse("chart yaml not in base directory");
    }
    Ok(path)
}

/// The content without a byte order mark.
pub(crate) fn without_mark(data: Bytes) -> Bytes {
    if data.starts_with(b"\xEF\xBB\xBF") { data.slice(3..) } else { data }
}

fn refuse<T>(message: impl Into<String>) -> Result<T, HelmError> {
    Err(HelmError::Load(message.into()))
}

fn too_large<T>() -> Result<T, HelmError> {
    refuse(format!("decompressed chart is larger than the maximum size {CHART_BYTES_MAX}"))
}
