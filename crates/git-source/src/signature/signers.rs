//! Who may sign: lines of `allowed_signers` as OpenSSH has them, or of plain public keys.

use base64::Engine as _;
use object_model::Timestamp;

use super::ssh;

/// The most keys that are read.
const SIGNERS_MAX: usize = 1_000;
/// The kinds of keys whose signatures are verified.
const KEY_KINDS: [&str; 6] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// A key that may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signer {
    name: String,
    key: Vec<u8>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

impl Signer {
    /// The name, when the key is valid at a moment.
    pub(super) fn valid_at(&self, now: Timestamp) -> Option<&str> {
        let is_valid =
            self.valid_after.is_none_or(|after| now >= after) && self.valid_before.is_none_or(|before| now < before);
        is_valid.then_some(self.name.as_str())
    }
}

/// The keys that may sign.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedSigners {
    signers: Vec<Signer>,
}

impl AllowedSigners {
    /// Reads lines of `allowed_signers` (`PRINCIPALS [OPTIONS] KIND KEY`) or of public keys (`KIND KEY [NAME]`). A line that
    /// can't be read, or restricts its key in a way that is not known here, gives no signer and a problem.
    pub fn parse(text: &str) -> (Self, Vec<String>) {
        let mut signers = Vec::new();
        let mut problems = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if signers.len() >= SIGNERS_MAX {
                problems.push(format!("line {}: there are more than {SIGNERS_MAX} keys", index + 1));
                break;
            }
            match read(line) {
                Ok(Some(signer)) => signers.push(signer),
                Ok(None) => {}
                Err(why) => problems.push(format!("line {}: {why}", index + 1)),
            }
        }
        (Self { signers }, problems)
    }

    /// Adds the keys of another list.
    pub fn extend(&mut self, other: Self) {
        self.signers.extend(other.signers);
        self.signers.truncate(SIGNERS_MAX);
    }

    /// Whether nobody may sign.
    pub fn is_empty(&self) -> bool {
        self.signers.is_empty()
    }

    pub(super) fn find(&self, key: &[u8]) -> Option<&Signer> {
        self.signers.iter().find(|signer| signer.key == key)
    }
}

/// Reads one line; nothing for a key that may not sign for Git.
fn read(line: &str) -> Result<Option<Signer>, String> {
    let words = words(line);
    let is_kind = |word: &String| KEY_KINDS.contains(&word.as_str());
    let Some(at) = words.iter().position(is_kind) else {
        return Err(format!("it has no key of a kind that is verified ({})", KEY_KINDS.join(", ")));
    };
    let (before, key) = words.split_at(at);
    let (Some(kind), Some(encoded)) = (key.first(), key.get(1)) else { return Err("it has no key".to_owned()) };
    let blob = base64::engine::general_purpose::STANDARD.decode(encoded).map_err(|_| "its key is not base64")?;
    if ssh::kind_of(&blob) != Some(kind.as_bytes()) {
        return Err("its key is of another kind than it says".to_owned());
    }
    let comment = key.get(2..).unwrap_or_default().join(" ");
    let mut signer = Signer { name: comment, key: blob, valid_after: None, valid_before: None };
    let Some((principals, options)) = before.split_first() else { return Ok(Some(signer)) };
    signer.name.clone_from(principals);
    for option in options.iter().flat_map(|word| options_of(word)) {
        let (name, value) = option.split_once('=').unwrap_or((&option, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "namespaces" if value.split(',').any(|namespace| matches!(namespace.trim(), "git" | "*")) => {}
            "namespaces" => return Ok(None),
            "valid-after" => signer.valid_after = Some(moment(value)?),
            "valid-before" => signer.valid_before = Some(moment(value)?),
            other => return Err(format!("option `{}` is not supported", other.escape_debug())),
        }
    }
    Ok(Some(signer))
}

/// Words apart by blanks, except within double quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for c in line.chars() {
        is_quoted ^= c == '"';
        match words.last_mut() {
            Some(last) if is_quoted || !c.is_whitespace() => last.push(c),
            Some(last) if !last.is_empty() => words.push(String::new()),
            _ => {}
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Options apart by commas, except within double quotes.
fn options_of(word: &str) -> Vec<String> {
    let mut options = vec![String::new()];
    let mut is_quoted = false;
    for c in word.chars() {
        is_quoted ^= c == '"';
        match options.last_mut() {
            Some(last) if is_quoted || c != ',' => last.push(c),
            _ => options.push(String::new()),
        }
    }
    options.retain(|option| !option.is_empty());
    options
}

/// `YYYYMMDD[HHMM[SS]][Z]`, taken as UTC.
fn moment(text: &str) -> Result<Timestamp, String> {
    let bad = || format!("`{}` is not a moment such as 20260131 or 202601312359", text.escape_debug());
    let digits = text.trim_end_matches(['Z', 'z']);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or("00");
    let (hour, minute, second) = match digits.len() {
        8 => ("00", "00", "00"),
        12 => (part(8, 10), part(10, 12), "00"),
        14 => (part(8, 10), part(10, 12), part(12, 14)),
        _ => return Err(bad()),
    };
    let written = format!("{}-{}-{}T{hour}:{minute}:{second}Z", part(0, 4), part(4, 6), part(6, 8));
    written.parse().map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIGJlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVl";

    #[test]
    fn lines_of_both_forms_are_read() {
        let (signers, problems) = AllowedSigners::parse(&format!(
            "# who may\n\nssh-ed25519 {KEY} ann@example.com\nbob@example.com,bot namespaces=\"git,file\" ssh-ed25519 {KEY}\n\
             eve@example.com namespaces=\"file\" ssh-ed25519 {KEY}\n\
             dan@example.com valid-after=\"20260101\",valid-before=\"20260201Z\" ssh-ed25519 {KEY}\n"
        ));
        assert_eq!(problems, Vec::<String>::new());
        let names: Vec<_> = signers.signers.iter().map(|signer| signer.name.as_str()).collect();
        assert_eq!(names, ["ann@example.com", "bob@example.com,bot", "dan@example.com"]);
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let dan = &signers.signers[2];
        assert_eq!(dan.valid_at(at("2025-12-31T23:59:59Z")), None);
        assert_eq!(dan.valid_at(at("2026-01-01T00:00:00Z")), Some("dan@example.com"));
        assert_eq!(dan.valid_at(at("2026-02-01T00:00:00Z")), None);
    }

    #[test]
    fn lines_that_are_not_understood_give_nobody_a_right() {
        let kinds = "it has no key of a kind that is verified (ssh-ed25519, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, \
                     ssh-rsa, sk-ssh-ed25519@openssh.com, sk-ecdsa-sha2-nistp256@openssh.com)";
        for (line, why) in [
            (format!("* cert-authority ssh-ed25519 {KEY}"), "option `cert-authority` is not supported"),
            (
                format!("* valid-before=\"soon\" ssh-ed25519 {KEY}"),
                "`soon` is not a moment such as 20260131 or 202601312359",
            ),
            (format!("ssh-rsa {KEY}"), "its key is of another kind than it says"),
            ("ssh-ed25519 !!!".to_owned(), "its key is not base64"),
            ("ssh-ed25519".to_owned(), "it has no key"),
            ("ssh-dss AAAA ann".to_owned(), kinds),
        ] {
            let (signers, problems) = AllowedSigners::parse(&line);
            assert_eq!((signers.is_empty(), problems), (true, vec![format!("line 1: {why}")]), "{line}");
        }
    }
}
