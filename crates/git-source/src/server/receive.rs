//! Answers to those who push.

use crate::id::GitId;
use crate::pack::read_pack;
use crate::packet::{Packet, Packets, line, write_band, write_flush, write_line};
use crate::remote::{RefReply, RefUpdate, Remote, TransferLimits, printable};
use crate::server::ServeError;

/// What is offered to writers. Thin packs are declined: a pack that stands alone is checked alone.
pub(super) const CAPABILITIES: &str = "report-status side-band-64k delete-refs atomic ofs-delta no-thin quiet";

/// The most references that one push may move.
const UPDATES_MAX: usize = 1_000;

/// Answers a push.
pub(super) fn answer(remote: &dyn Remote, body: &[u8], limits: &TransferLimits) -> Result<Vec<u8>, ServeError> {
    let mut packets = Packets::new(body);
    let mut updates = Vec::new();
    let mut capabilities = String::new();
    while let Some(Packet::Data(data)) = packets.next()? {
        let text = line(data);
        let (command, tail) = text.split_once('\0').unwrap_or((&text, ""));
        if updates.is_empty() && !tail.is_empty() {
            capabilities = tail.to_owned();
        }
        if command.starts_with("shallow ") {
            continue;
        }
        updates.push(parse_update(command)?);
        if updates.len() > UPDATES_MAX {
            return Err(ServeError::Malformed(format!("a push moves more than {UPDATES_MAX} references")));
        }
    }
    if updates.is_empty() {
        // A client that is about to send much tries its credential with an empty push first.
        return Ok(Vec::new());
    }
    let has = |word: &str| capabilities.split(' ').any(|have| have == word);
    let mut report = Vec::new();
    let mut said = Vec::new();
    match unpack(packets.rest(), &updates, limits) {
        Err(why) => {
            write_line(&mut report, &format!("unpack {why}"));
            updates.iter().for_each(|update| write_line(&mut report, &format!("ng {} unpacker error", update.name)));
        }
        Ok(objects) => {
            let replies = if has("atomic") {
                remote.push(&updates, &objects)?
            } else {
                let mut replies = Vec::new();
                for update in &updates {
                    replies.extend(remote.push(std::slice::from_ref(update), &objects)?);
                }
                replies
            };
            write_line(&mut report, "unpack ok");
            for RefReply { name, refused } in &replies {
                match refused {
                    None => write_line(&mut report, &format!("ok {name}")),
                    Some(words) => {
                        write_line(&mut report, &format!("ng {name} {}", printable(words)));
                        said.push(format!("{name}: {}\n", printable(words)));
                    }
                }
            }
        }
    }
    write_flush(&mut report);
    if !has("report-status") {
        return Ok(Vec::new());
    }
    if !has("side-band-64k") {
        return Ok(report);
    }
    let mut out = Vec::new();
    said.iter().for_each(|words| write_band(&mut out, 2, words.as_bytes()));
    write_band(&mut out, 1, &report);
    write_flush(&mut out);
    Ok(out)
}

fn parse_update(command: &str) -> Result<RefUpdate, ServeError> {
    let bad = || ServeError::Malformed(format!("unexpected command `{}`", command.escape_debug()));
    let mut words = command.splitn(3, ' ');
    let mut id = || words.next().and_then(|hex| GitId::parse(hex).ok()).ok_or_else(bad);
    let (old, new) = (id()?, id()?);
    let name = words.next().filter(|name| !name.is_empty()).ok_or_else(bad)?;
    let some = |id: GitId| (!id.is_zero()).then_some(id);
    Ok(RefUpdate { name: name.to_owned(), old: some(old), new: some(new) })
}

fn unpack(
    pack: &[u8],
    updates: &[RefUpdate],
    limits: &TransferLimits,
) -> Result<Vec<crate::object::GitObject>, String> {
    if pack.is_empty() && updates.iter().all(|update| update.new.is_none()) {
        return Ok(Vec::new());
    }
    read_pack(pack, limits, &|_| None).map_err(|error| printable(&error.to_string()))
}
