//! What is said on the wire of a smart HTTP server, as seen from the client: requests built, replies read.

use std::collections::BTreeMap;

use crate::id::{CommitId, GitId};
use crate::packet::{Packet, Packets, demultiplex, line, write_data, write_delimiter, write_flush, write_line};
use crate::remote::{FetchRequest, RefList, RefReply, RefUpdate, printable};

/// How this client names itself to servers.
pub(crate) const AGENT: &str = "agent=sluice-git-source";

/// The most references that are read from a server.
const REFS_MAX: usize = 200_000;

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WireError {
    /// The server said so, in words made printable.
    Said(String),
    /// The answer does not follow the protocol.
    Malformed(String),
}

impl From<&str> for WireError {
    fn from(why: &str) -> Self {
        Self::Malformed(why.to_owned())
    }
}

impl From<String> for WireError {
    fn from(why: String) -> Self {
        Self::Malformed(why)
    }
}

/// The first answer of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Advertisement {
    /// Protocol version 2: references are asked for.
    Two { commands: Vec<String> },
    /// Protocol version 0 or 1: references came at once.
    One { refs: RefList, capabilities: Vec<String> },
}

/// Reads the answer to `info/refs`.
pub(crate) fn parse_advertisement(body: &[u8], service: &str) -> Result<Advertisement, String> {
    let mut packets = Packets::new(body);
    let mut lines = packets.lines()?;
    let announced = format!("# service={service}");
    if lines.first() == Some(&announced) {
        lines = packets.lines()?;
    } else if !matches!(lines.first().map(String::as_str), Some("version 2")) {
        return Err("its first line does not announce the service".to_owned());
    }
    let mut lines = lines.into_iter().peekable();
    match lines.peek().map(String::as_str) {
        Some("version 2") => {
            let commands: Vec<_> = lines.skip(1).collect();
            check_hash(commands.iter().map(String::as_str))?;
            return Ok(Advertisement::Two { commands });
        }
        Some("version 1") => drop(lines.next()),
        _ => {}
    }
    let mut refs = RefList::default();
    let mut capabilities = Vec::new();
    for (index, line) in lines.enumerate() {
        let (line, tail) = line.split_once('\0').unwrap_or((&line, ""));
        if index == 0 {
            capabilities = tail.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        }
        if line.starts_with("shallow ") {
            continue;
        }
        let (id, name) = line.split_once(' ').ok_or("a reference line has no name")?;
        let id = GitId::from_hex(id.as_bytes()).ok_or("a reference line has no object id")?;
        add_ref(&mut refs, name, id)?;
    }
    check_hash(capabilities.iter().map(String::as_str))?;
    let head = capabilities.iter().find_map(|word| word.strip_prefix("symref=HEAD:"));
    refs.head = head.map(str::to_owned).or_else(|| guess_head(&refs));
    refs.refs.remove("HEAD");
    Ok(Advertisement::One { refs, capabilities })
}

fn add_ref(refs: &mut RefList, name: &str, id: GitId) -> Result<(), String> {
    if refs.refs.len() >= REFS_MAX {
        return Err(format!("it has more than {REFS_MAX} references"));
    }
    match name.strip_suffix("^{}") {
        Some("capabilities") => None,
        Some(tag) => refs.peeled.insert(tag.to_owned(), id),
        None => refs.refs.insert(name.to_owned(), id),
    };
    Ok(())
}

/// Old servers don't say which branch `HEAD` is: take one that is at the same commit, `main` and `master` first.
fn guess_head(refs: &RefList) -> Option<String> {
    let head = refs.refs.get("HEAD")?;
    let branches = || refs.refs.iter().filter(|(name, id)| name.starts_with("refs/heads/") && *id == head);
    let named = |name: &str| branches().find(|(branch, _)| *branch == name).map(|(branch, _)| branch.clone());
    named("refs/heads/main").or_else(|| named("refs/heads/master")).or_else(|| Some(branches().next()?.0.clone()))
}

fn check_hash<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<(), String> {
    match words.find_map(|word| word.strip_prefix("object-format=")) {
        Some(format) if format != "sha1" => {
            Err(format!("it uses {} object ids, which are not supported", printable(format)))
        }
        _ => Ok(()),
    }
}

/// Builds the version 2 request for all branches and tags, and what else begins with `prefix`.
pub(crate) fn ls_refs_request(prefix: Option<&str>) -> Vec<u8> {
    let mut body = Vec::new();
    for text in ["command=ls-refs", AGENT, "object-format=sha1"] {
        write_line(&mut body, text);
    }
    write_delimiter(&mut body);
    for text in ["peel", "symrefs", "ref-prefix HEAD", "ref-prefix refs/heads/", "ref-prefix refs/tags/"] {
        write_line(&mut body, text);
    }
    if let Some(prefix) = prefix {
        write_line(&mut body, &format!("ref-prefix {prefix}"));
    }
    write_flush(&mut body);
    body
}

/// Reads the answer to [`ls_refs_request`].
pub(crate) fn parse_ls_refs(body: &[u8]) -> Result<RefList, WireError> {
    let mut refs = RefList::default();
    let mut packets = Packets::new(body);
    loop {
        let data = match packets.next()? {
            Some(Packet::Data(data)) => line(data),
            Some(Packet::Flush) => break,
            Some(_) => return Err("a list of references has an unknown packet".into()),
            None => return Err("a list of references is cut off".into()),
        };
        if let Some(message) = data.strip_prefix("ERR ") {
            return Err(WireError::Said(printable(message)));
        }
        let mut words = data.split(' ');
        let (Some(id), Some(name)) = (words.next(), words.next()) else {
            return Err("a reference line has no name".into());
        };
        let attributes: BTreeMap<&str, &str> = words.filter_map(|word| word.split_once(':')).collect();
        if name == "HEAD" {
            refs.head = attributes.get("symref-target").map(|target| (*target).to_owned());
            continue;
        }
        let id = GitId::from_hex(id.as_bytes()).ok_or("a reference line has no object id")?;
        add_ref(&mut refs, name, id)?;
        if let Some(peeled) = attributes.get("peeled").and_then(|hex| GitId::from_hex(hex.as_bytes())) {
            refs.peeled.insert(name.to_owned(), peeled);
        }
    }
    Ok(refs)
}

/// Builds a version 2 fetch that needs no further round: all that we have is said at once.
pub(crate) fn fetch_request_two(request: &FetchRequest) -> Vec<u8> {
    let mut body = Vec::new();
    for text in ["command=fetch", AGENT, "object-format=sha1"] {
        write_line(&mut body, text);
    }
    write_delimiter(&mut body);
    for text in ["no-progress", "ofs-delta"] {
        write_line(&mut body, text);
    }
    write_wants(&mut body, request, "");
    for have in &request.haves {
        write_line(&mut body, &format!("have {have}"));
    }
    write_line(&mut body, "done");
    write_flush(&mut body);
    body
}

/// Builds a version 0 fetch without negotiation over several rounds.
pub(crate) fn fetch_request_one(request: &FetchRequest, capabilities: &[String]) -> Vec<u8> {
    let wanted = ["side-band-64k", "ofs-delta", "no-progress", "shallow"];
    let spoken: Vec<&str> = wanted.into_iter().filter(|word| capabilities.iter().any(|have| have == word)).collect();
    let mut body = Vec::new();
    write_wants(&mut body, request, &format!(" {} {AGENT}", spoken.join(" ")));
    write_flush(&mut body);
    for have in &request.haves {
        write_line(&mut body, &format!("have {have}"));
    }
    write_line(&mut body, "done");
    body
}

fn write_wants(body: &mut Vec<u8>, request: &FetchRequest, capabilities: &str) {
    for (index, want) in request.wants.iter().enumerate() {
        let tail = if index == 0 { capabilities } else { "" };
        write_line(body, &format!("want {want}{tail}"));
    }
    for commit in &request.shallow {
        write_line(body, &format!("shallow {commit}"));
    }
    if let Some(depth) = request.depth {
        write_line(body, &format!("deepen {depth}"));
    }
}

/// A fetch reply before its pack is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PackReply {
    pub(crate) pack: Vec<u8>,
    pub(crate) shallow: Vec<CommitId>,
    pub(crate) unshallow: Vec<CommitId>,
}

impl PackReply {
    fn take_shallow(&mut self, line: &str) -> Result<(), WireError> {
        let id = |hex: &str| GitId::from_hex(hex.as_bytes()).ok_or("a shallow line has no object id");
        if let Some(hex) = line.strip_prefix("shallow ") {
            self.shallow.push(id(hex)?);
        } else if let Some(hex) = line.strip_prefix("unshallow ") {
            self.unshallow.push(id(hex)?);
        } else {
            return Err(format!("unexpected line: {}", printable(line)).into());
        }
        Ok(())
    }

    fn take_pack(&mut self, packets: &mut Packets<'_>) -> Result<(), WireError> {
        let bands = demultiplex(packets)?;
        if let Some(error) = bands.error {
            return Err(WireError::Said(printable(&error)));
        }
        self.pack = bands.data;
        Ok(())
    }
}

/// Reads the answer to [`fetch_request_two`].
pub(crate) fn parse_fetch_two(body: &[u8]) -> Result<PackReply, WireError> {
    let mut reply = PackReply::default();
    let mut packets = Packets::new(body);
    loop {
        let section = match packets.next()? {
            Some(Packet::Data(data)) => line(data),
            Some(Packet::Flush) | None => return Err("the answer has no pack".into()),
            Some(_) => return Err("the answer has an unknown packet".into()),
        };
        match section.as_str() {
            "packfile" => {
                reply.take_pack(&mut packets)?;
                return Ok(reply);
            }
            "shallow-info" => {
                for line in packets.lines()? {
                    reply.take_shallow(&line)?;
                }
            }
            "acknowledgments" | "wanted-refs" => drop(packets.lines()?),
            other => match other.strip_prefix("ERR ") {
                Some(message) => return Err(WireError::Said(printable(message))),
                None => return Err(format!("unexpected section: {}", printable(other)).into()),
            },
        }
    }
}

/// Reads the answer to [`fetch_request_one`].
pub(crate) fn parse_fetch_one(
    body: &[u8],
    request: &FetchRequest,
    has_side_band: bool,
) -> Result<PackReply, WireError> {
    let mut reply = PackReply::default();
    let mut packets = Packets::new(body);
    if request.depth.is_some() {
        for line in packets.lines()? {
            reply.take_shallow(&line)?;
        }
    }
    let Some(Packet::Data(data)) = packets.next()? else {
        return Err("the answer has no pack".into());
    };
    let answer = line(data);
    if let Some(message) = answer.strip_prefix("ERR ") {
        return Err(WireError::Said(printable(message)));
    }
    if answer != "NAK" && !(answer.starts_with("ACK ") && answer.split(' ').count() == 2) {
        return Err(format!("unexpected line: {}", printable(&answer)).into());
    }
    if has_side_band {
        reply.take_pack(&mut packets)?;
    } else {
        reply.pack = packets.rest().to_vec();
    }
    Ok(reply)
}

/// Builds a push: the compare-and-swap of every reference, then the pack.
pub(crate) fn push_request(updates: &[RefUpdate], pack: Option<&[u8]>, capabilities: &[String]) -> Vec<u8> {
    let wanted = ["report-status-v2", "report-status", "side-band-64k", "atomic", "delete-refs", "quiet"];
    let mut spoken: Vec<&str> =
        wanted.into_iter().filter(|word| capabilities.iter().any(|have| have == word)).collect();
    if capabilities.iter().any(|word| word == "object-format=sha1") {
        spoken.push("object-format=sha1");
    }
    let mut body = Vec::new();
    for (index, update) in updates.iter().enumerate() {
        let (old, new) = (update.old.unwrap_or(GitId::ZERO), update.new.unwrap_or(GitId::ZERO));
        let tail = if index == 0 { format!("\0 {} {AGENT}", spoken.join(" ")) } else { String::new() };
        write_data(&mut body, format!("{old} {new} {}{tail}\n", update.name).as_bytes());
    }
    write_flush(&mut body);
    body.extend_from_slice(pack.unwrap_or_default());
    body
}

/// Reads the answer to [`push_request`]: one reply a reference, in the order of the updates.
pub(crate) fn parse_push(body: &[u8], updates: &[RefUpdate], has_side_band: bool) -> Result<Vec<RefReply>, String> {
    let mut packets = Packets::new(body);
    let bands = if has_side_band { Some(demultiplex(&mut packets)?) } else { None };
    if let Some(error) = bands.as_ref().and_then(|bands| bands.error.as_deref()) {
        return Err(printable(error));
    }
    let (report, said) = match &bands {
        Some(bands) => (bands.data.as_slice(), printable(&bands.progress)),
        None => (body, String::new()),
    };
    let mut verdicts: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut lines = Packets::new(report).lines()?.into_iter();
    let unpack = lines.next().ok_or("the report is empty")?;
    let unpack = unpack.strip_prefix("unpack ").ok_or("the report does not begin with the pack")?.to_owned();
    for line in lines {
        if let Some(name) = line.strip_prefix("ok ") {
            verdicts.insert(name.to_owned(), None);
        } else if let Some(refused) = line.strip_prefix("ng ") {
            let (name, why) = refused.split_once(' ').unwrap_or((refused, "refused"));
            verdicts.insert(name.to_owned(), Some(words(why, &said)));
        } else if !line.starts_with("option ") {
            return Err(format!("unexpected line in the report: {}", printable(&line)));
        }
    }
    let reply = |update: &RefUpdate| {
        let refused = match verdicts.get(&update.name) {
            Some(None) if unpack != "ok" => Some(format!("unpack failed: {}", printable(&unpack))),
            Some(verdict) => verdict.clone(),
            None if unpack != "ok" => Some(format!("unpack failed: {}", printable(&unpack))),
            None => Some(words("the server did not report on the reference", &said)),
        };
        RefReply { name: update.name.clone(), refused }
    };
    Ok(updates.iter().map(reply).collect())
}

/// A forge explains a refusal on the side band; both texts are needed to understand it.
fn words(why: &str, said: &str) -> String {
    if said.is_empty() { printable(why) } else { printable(&format!("{why}: {said}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> GitId {
        GitId::parse(&digit.to_string().repeat(40)).unwrap()
    }

    fn update(name: &str) -> RefUpdate {
        RefUpdate { name: name.to_owned(), old: None, new: Some(id('1')) }
    }

    fn lines(texts: &[&str]) -> Vec<u8> {
        let mut body = Vec::new();
        texts.iter().for_each(|text| write_line(&mut body, text));
        write_flush(&mut body);
        body
    }

    #[test]
    fn both_kinds_of_advertisement_are_read() {
        let one = id('1');
        let refs = [
            format!("{one} HEAD\0ofs-delta symref=HEAD:refs/heads/main"),
            format!("{one} refs/heads/main"),
            format!("{} refs/tags/v1", id('2')),
            format!("{one} refs/tags/v1^{{}}"),
        ];
        let refs: Vec<&str> = refs.iter().map(String::as_str).collect();
        let body = [lines(&["# service=git-upload-pack"]), lines(&refs)].concat();
        let Advertisement::One { refs, capabilities } = parse_advertisement(&body, "git-upload-pack").unwrap() else {
            panic!()
        };
        assert_eq!(capabilities, ["ofs-delta", "symref=HEAD:refs/heads/main"]);
        assert_eq!(refs.head.as_deref(), Some("refs/heads/main"));
        assert_eq!(refs.resolve("v1"), Some(("refs/tags/v1".to_owned(), one)));

        let body = [lines(&["# service=git-upload-pack"]), lines(&["version 2", "ls-refs", "fetch=shallow"])].concat();
        let two = parse_advertisement(&body, "git-upload-pack").unwrap();
        assert_eq!(two, Advertisement::Two { commands: vec!["ls-refs".to_owned(), "fetch=shallow".to_owned()] });
    }

    #[test]
    fn what_is_no_git_server_is_refused() {
        for (body, why) in [
            (b"<html>".to_vec(), "a packet has no length"),
            (lines(&["hello"]), "its first line does not announce the service"),
            (
                [lines(&["# service=git-upload-pack"]), lines(&["zz refs/heads/x"])].concat(),
                "a reference line has no object id",
            ),
            (
                [lines(&["# service=git-upload-pack"]), lines(&["version 2", "object-format=sha256"])].concat(),
                "it uses sha256 object ids, which are not supported",
            ),
        ] {
            assert_eq!(parse_advertisement(&body, "git-upload-pack").unwrap_err(), why);
        }
    }

    #[test]
    fn a_report_gives_one_verdict_a_reference() {
        let updates = [update("refs/heads/a"), update("refs/heads/b"), update("refs/heads/c")];
        let report =
            lines(&["unpack ok", "ok refs/heads/a", "option refname x", "ng refs/heads/b hook\u{1b} declined"]);
        let replies = parse_push(&report, &updates, false).unwrap();
        assert_eq!(replies[0].refused, None);
        assert_eq!(replies[1].refused.as_deref(), Some("hook\u{fffd} declined"));
        assert_eq!(replies[2].refused.as_deref(), Some("the server did not report on the reference"));

        let mut banded = Vec::new();
        for (band, data) in [(2u8, b"GH006: Protected\nbranch".as_slice()), (1, &report)] {
            write_data(&mut banded, &[&[band], data].concat());
        }
        write_flush(&mut banded);
        let replies = parse_push(&banded, &updates, true).unwrap();
        assert_eq!(replies[1].refused.as_deref(), Some("hook\u{fffd} declined: GH006: Protected branch"));

        let report = lines(&["unpack index-pack abnormal exit", "ok refs/heads/a"]);
        let replies = parse_push(&report, &updates, false).unwrap();
        assert!(
            replies.iter().all(|reply| reply.refused.as_deref() == Some("unpack failed: index-pack abnormal exit"))
        );
    }

    #[test]
    fn broken_reports_are_errors() {
        let updates = [update("refs/heads/a")];
        for (body, why) in [
            (Vec::new(), "the report is empty"),
            (lines(&["hello"]), "the report does not begin with the pack"),
            (lines(&["unpack ok", "what"]), "unexpected line in the report: what"),
            (b"0010unpack".to_vec(), "a packet is cut off"),
        ] {
            assert_eq!(parse_push(&body, &updates, false).unwrap_err(), why);
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_answers_never_panic(body: Vec<u8>, texts: Vec<String>) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let request = FetchRequest { depth: Some(1), ..FetchRequest::default() };
            for body in [body, lines(&texts), [lines(&["# service=git-upload-pack"]), lines(&texts)].concat()] {
                let _ = parse_advertisement(&body, "git-upload-pack");
                let _ = parse_ls_refs(&body);
                let _ = parse_fetch_two(&body);
                let _ = parse_fetch_one(&body, &request, true);
                let _ = parse_push(&body, &[update("refs/heads/a")], true);
                let _ = parse_push(&body, &[update("refs/heads/a")], false);
            }
        }
    }
}
