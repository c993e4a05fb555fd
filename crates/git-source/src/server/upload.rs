//! Answers to those who read: lists of references and packs, in versions 0 and 2 of the protocol.

use crate::id::GitId;
use crate::pack::write_pack;
use crate::packet::{Packet, Packets, line, write_band, write_delimiter, write_flush, write_line};
use crate::remote::{FetchReply, FetchRequest, RefList, Remote};
use crate::server::ServeError;
use crate::wire::AGENT;

/// The most lines of one request.
const LINES_MAX: usize = 100_000;

/// The first answer in version 2.
pub(super) fn advertise_two() -> Vec<u8> {
    let mut body = Vec::new();
    write_line(&mut body, "# service=git-upload-pack");
    write_flush(&mut body);
    for text in ["version 2", AGENT, "ls-refs=unborn", "fetch=shallow", "object-format=sha1"] {
        write_line(&mut body, text);
    }
    write_flush(&mut body);
    body
}

/// The first answer in version 0, for both services.
pub(super) fn advertise_one(refs: &RefList, service: &str, capabilities: &str) -> Vec<u8> {
    let mut body = Vec::new();
    write_line(&mut body, &format!("# service={service}"));
    write_flush(&mut body);
    let head = refs.head.as_ref().and_then(|name| Some((name, refs.refs.get(name)?)));
    let mut lines = Vec::new();
    let mut capabilities = format!("{capabilities} object-format=sha1 {AGENT}");
    if let Some((name, id)) = head.filter(|_| service == "git-upload-pack") {
        lines.push(format!("{id} HEAD"));
        capabilities.push_str(&format!(" symref=HEAD:{name}"));
    }
    for (name, id) in &refs.refs {
        lines.push(format!("{id} {name}"));
        if let Some(peeled) = refs.peeled.get(name).filter(|_| service == "git-upload-pack") {
            lines.push(format!("{peeled} {name}^{{}}"));
        }
    }
    if lines.is_empty() {
        lines.push(format!("{} capabilities^{{}}", GitId::ZERO));
    }
    for (index, text) in lines.iter().enumerate() {
        let tail = if index == 0 { format!("\0{capabilities}") } else { String::new() };
        write_line(&mut body, &format!("{text}{tail}"));
    }
    write_flush(&mut body);
    body
}

/// What is offered to readers in version 0.
pub(super) const CAPABILITIES: &str = "multi_ack_detailed side-band-64k ofs-delta shallow no-progress \
     allow-tip-sha1-in-want allow-reachable-sha1-in-want";

/// What one request of a reader asks for.
#[derive(Debug, Default)]
struct Asked {
    request: FetchRequest,
    is_done: bool,
    capabilities: String,
}

impl Asked {
    fn take(&mut self, text: &str) -> Result<(), ServeError> {
        let bad = || ServeError::Malformed(format!("unexpected line `{}`", text.escape_debug()));
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let id = || GitId::parse(rest.split(' ').next().unwrap_or_default()).map_err(|_| bad());
        match word {
            "want" => {
                if self.request.wants.is_empty() {
                    self.capabilities = rest.split_once(' ').map(|(_, tail)| tail.to_owned()).unwrap_or_default();
                }
                self.request.wants.push(id()?);
            }
            "have" => self.request.haves.push(id()?),
            "shallow" => self.request.shallow.push(id()?),
            "deepen" => {
                let depth: u32 = rest.parse().map_err(|_| bad())?;
                self.request.depth = (depth > 0).then_some(depth);
            }
            "done" => self.is_done = true,
            "thin-pack" | "no-progress" | "include-tag" | "ofs-delta" | "wait-for-done" => {}
            "deepen-since" | "deepen-not" | "deepen-relative" | "filter" | "packfile-uris" | "sideband-all" => {
                return Err(ServeError::Refused(format!("{word} is not supported")));
            }
            _ => return Err(bad()),
        }
        Ok(())
    }
}

/// Which command a request of version 2 holds, for the log.
pub(super) fn is_ls_refs(body: &[u8]) -> bool {
    matches!(Packets::new(body).next(), Ok(Some(Packet::Data(data))) if line(data) == "command=ls-refs")
}

/// Answers a request of version 2.
pub(super) fn answer_two(remote: &dyn Remote, body: &[u8]) -> Result<Vec<u8>, ServeError> {
    let mut packets = Packets::new(body);
    let mut command = String::new();
    let mut arguments = Vec::new();
    let mut is_head = true;
    while let Some(packet) = packets.next()? {
        match packet {
            Packet::Data(data) if is_head => {
                if let Some(name) = line(data).strip_prefix("command=") {
                    command = name.to_owned();
                }
            }
            Packet::Data(data) => arguments.push(line(data)),
            Packet::Delimiter => is_head = false,
            Packet::Flush | Packet::ResponseEnd => break,
        }
        if arguments.len() > LINES_MAX {
            return Err(ServeError::Malformed("the request has too many lines".to_owned()));
        }
    }
    match command.as_str() {
        "ls-refs" => answer_ls_refs(&remote.list_refs()?, &arguments),
        "fetch" => answer_fetch_two(remote, &arguments),
        // A client may ask nothing at all, just to try its credential.
        "" => Ok(b"0000".to_vec()),
        other => Err(ServeError::Malformed(format!("unknown command `{}`", other.escape_debug()))),
    }
}

fn answer_ls_refs(refs: &RefList, arguments: &[String]) -> Result<Vec<u8>, ServeError> {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let prefixes: Vec<&str> = arguments.iter().filter_map(|text| text.strip_prefix("ref-prefix ")).collect();
    let is_asked = |name: &str| prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix));
    let mut body = Vec::new();
    if let Some(head) = refs.head.as_ref().filter(|_| is_asked("HEAD")) {
        let target = if has("symrefs") { format!(" symref-target:{head}") } else { String::new() };
        match refs.refs.get(head) {
            Some(id) => write_line(&mut body, &format!("{id} HEAD{target}")),
            None if has("unborn") => write_line(&mut body, &format!("unborn HEAD{target}")),
            None => {}
        }
    }
    for (name, id) in refs.refs.iter().filter(|(name, _)| is_asked(name)) {
        let peeled = refs.peeled.get(name).filter(|_| has("peel")).map(|id| format!(" peeled:{id}"));
        write_line(&mut body, &format!("{id} {name}{}", peeled.unwrap_or_default()));
    }
    write_flush(&mut body);
    Ok(body)
}

/// The commits of the asker that are known here.
fn common(remote: &dyn Remote, request: &FetchRequest) -> Result<Vec<GitId>, ServeError> {
    let question = FetchRequest { wants: Vec::new(), depth: None, ..request.clone() };
    Ok(remote.fetch(&question)?.common)
}

fn answer_fetch_two(remote: &dyn Remote, arguments: &[String]) -> Result<Vec<u8>, ServeError> {
    let mut asked = Asked::default();
    arguments.iter().try_for_each(|text| asked.take(text))?;
    let mut body = Vec::new();
    if !asked.is_done {
        let common = common(remote, &asked.request)?;
        write_line(&mut body, "acknowledgments");
        if common.is_empty() {
            write_line(&mut body, "NAK");
            write_flush(&mut body);
            return Ok(body);
        }
        common.iter().for_each(|id| write_line(&mut body, &format!("ACK {id}")));
        write_line(&mut body, "ready");
        write_delimiter(&mut body);
    }
    let reply = remote.fetch(&asked.request)?;
    if asked.request.depth.is_some() || !reply.shallow.is_empty() || !reply.unshallow.is_empty() {
        write_line(&mut body, "shallow-info");
        write_shallow(&mut body, &reply);
        write_delimiter(&mut body);
    }
    write_line(&mut body, "packfile");
    write_band(&mut body, 1, &write_pack(&reply.objects)?);
    write_flush(&mut body);
    Ok(body)
}

fn write_shallow(body: &mut Vec<u8>, reply: &FetchReply) {
    reply.shallow.iter().for_each(|id| write_line(body, &format!("shallow {id}")));
    reply.unshallow.iter().for_each(|id| write_line(body, &format!("unshallow {id}")));
}

/// Answers a request of version 0, which says all that was said before again in every round.
pub(super) fn answer_one(remote: &dyn Remote, body: &[u8]) -> Result<Vec<u8>, ServeError> {
    let mut asked = Asked::default();
    let mut packets = Packets::new(body);
    let mut count = 0;
    while let Some(packet) = packets.next()? {
        count += 1;
        if count > LINES_MAX {
            return Err(ServeError::Malformed("the request has too many lines".to_owned()));
        }
        if let Packet::Data(data) = packet {
            asked.take(&line(data))?;
        }
    }
    if asked.request.wants.is_empty() {
        return Ok(Vec::new());
    }
    let has = |word: &str| asked.capabilities.split(' ').any(|have| have == word);
    let mut out = Vec::new();
    if !asked.is_done && asked.request.haves.is_empty() && asked.request.depth.is_some() {
        // The first round of a shallow fetch only asks where the history will be cut.
        write_shallow(&mut out, &remote.fetch(&asked.request)?);
        write_flush(&mut out);
        return Ok(out);
    }
    let reply = if asked.is_done { Some(remote.fetch(&asked.request)?) } else { None };
    if asked.request.depth.is_some() {
        match &reply {
            Some(reply) => write_shallow(&mut out, reply),
            None => write_shallow(&mut out, &remote.fetch(&asked.request)?),
        }
        write_flush(&mut out);
    }
    let common = match &reply {
        Some(reply) => reply.common.clone(),
        None => common(remote, &asked.request)?,
    };
    if has("multi_ack_detailed") {
        common.iter().for_each(|id| write_line(&mut out, &format!("ACK {id} common")));
        if let Some(id) = common.last().filter(|_| !asked.is_done) {
            write_line(&mut out, &format!("ACK {id} ready"));
        }
    }
    let Some(reply) = reply else {
        write_line(&mut out, "NAK");
        return Ok(out);
    };
    match common.last() {
        Some(id) => write_line(&mut out, &format!("ACK {id}")),
        None => write_line(&mut out, "NAK"),
    }
    let pack = write_pack(&reply.objects)?;
    if has("side-band-64k") {
        write_band(&mut out, 1, &pack);
        write_flush(&mut out);
    } else {
        out.extend_from_slice(&pack);
    }
    Ok(out)
}
