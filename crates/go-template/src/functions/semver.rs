//! Versions and constraints with the rules of Masterminds' semver 3.4: loose versions, wildcards, ranges, and
//! pre-releases only where a constraint of the group asks for one.

use std::cmp::Ordering;

/// Constraints are as long as this at most: each is looked at several times.
const CONSTRAINT_BYTES_MAX: usize = 16 << 10;

/// A version; missing parts are 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    pub(crate) prerelease: String,
    pub(crate) metadata: String,
    pub(crate) original: String,
}

/// Why a text is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VersionError {
    #[error("invalid semantic version")]
    Invalid,
    #[error("version segment starts with 0")]
    LeadingZero,
    #[error("invalid prerelease string")]
    Prerelease,
    #[error("error parsing version segment: strconv.ParseUint: parsing \"{0}\": value out of range")]
    Range(String),
}

/// The written parts of a version. Minor and patch are `None` when they are not written.
struct Parts<'a> {
    major: &'a str,
    minor: Option<&'a str>,
    patch: Option<&'a str>,
    prerelease: &'a str,
    metadata: &'a str,
    /// Bytes of the whole.
    length: usize,
}

/// Reads a version off the start of a text; `is_segment` says what a segment consists of.
fn parts(text: &str, is_segment: fn(char) -> bool) -> Option<Parts<'_>> {
    let rest = text.strip_prefix('v').unwrap_or(text);
    let segment = |rest: &'_ str| -> usize { rest.find(|c| !is_segment(c)).unwrap_or(rest.len()) };
    let (major, mut rest) = rest.split_at_checked(segment(rest)).filter(|(major, _)| !major.is_empty())?;
    let mut numbers = [None, None];
    for number in &mut numbers {
        let Some(after) = rest.strip_prefix('.') else { break };
        let Some((digits, after)) = after.split_at_checked(segment(after)).filter(|(digits, _)| !digits.is_empty())
        else {
            break;
        };
        rest = after;
        *number = Some(digits);
    }
    let mut labels = [""; 2];
    for (label, sign) in labels.iter_mut().zip(['-', '+']) {
        let Some(after) = rest.strip_prefix(sign) else { continue };
        let Some((found, after)) = after.split_at_checked(label_length(after)).filter(|(found, _)| !found.is_empty())
        else {
            continue;
        };
        rest = after;
        *label = found;
    }
    let [minor, patch] = numbers;
    let [prerelease, metadata] = labels;
    Some(Parts { major, minor, patch, prerelease, metadata, length: text.len() - rest.len() })
}

/// Identifiers of letters, digits and hyphens, joined by points.
fn label_length(text: &str) -> usize {
    let mut length = 0;
    let mut rest = text;
    loop {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(rest.len());
        if end == 0 {
            return length;
        }
        length += end + usize::from(length > 0);
        rest = match rest.get(end..).and_then(|rest| rest.strip_prefix('.')) {
            Some(rest) => rest,
            None => return length,
        };
    }
}

fn number(text: &str) -> Result<u64, VersionError> {
    text.parse().map_err(|_| VersionError::Range(text.to_owned()))
}

impl Version {
    /// Reads a version, loosely: `v1.2` is 1.2.0.
    pub(crate) fn parse(text: &str) -> Result<Self, VersionError> {
        let parts = parts(text, |c| c.is_ascii_digit()).filter(|parts| parts.length == text.len());
        let parts = parts.ok_or(VersionError::Invalid)?;
        for identifier in parts.prerelease.split('.') {
            let is_number = identifier.bytes().all(|byte| byte.is_ascii_digit());
            if is_number && identifier.len() > 1 && identifier.starts_with('0') {
                return Err(VersionError::LeadingZero);
            }
            if identifier.is_empty() && !parts.prerelease.is_empty() {
                return Err(VersionError::Prerelease);
            }
        }
        Ok(Self {
            major: number(parts.major)?,
            minor: parts.minor.map_or(Ok(0), number)?,
            patch: parts.patch.map_or(Ok(0), number)?,
            prerelease: parts.prerelease.to_owned(),
            metadata: parts.metadata.to_owned(),
            original: text.to_owned(),
        })
    }

    /// Orders two versions; metadata does not count.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| {
            match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => compare_prereleases(&self.prerelease, &other.prerelease),
            }
        })
    }

    /// Returns the next version of a place, `v` kept in the original.
    pub(crate) fn next(&self, place: Place) -> Self {
        let mut next = Self { prerelease: String::new(), metadata: String::new(), ..self.clone() };
        match place {
            Place::Patch if self.prerelease.is_empty() => next.patch = self.patch.wrapping_add(1),
            Place::Patch => {}
            Place::Minor => (next.minor, next.patch) = (self.minor.wrapping_add(1), 0),
            Place::Major => (next.major, next.minor, next.patch) = (self.major.wrapping_add(1), 0, 0),
        }
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        next.original = format!("{prefix}{next}");
        next
    }
}

/// A number of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Major,
    Minor,
    Patch,
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(formatter, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(formatter, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

/// Identifier by identifier; numbers are lower than words.
fn compare_prereleases(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (left, right) => compare_identifiers(left.unwrap_or(""), right.unwrap_or("")),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_identifiers(left: &str, right: &str) -> Ordering {
    if left == right {
        return Ordering::Equal;
    }
    match (left.is_empty(), right.is_empty()) {
        (true, _) => return Ordering::Less,
        (_, true) => return Ordering::Greater,
        _ => {}
    }
    match (left.parse::<u64>(), right.parse::<u64>()) {
        (Ok(left), Ok(right)) if left > right => Ordering::Greater,
        (Ok(_), Ok(_)) => Ordering::Less,
        (Err(_), Err(_)) => left.cmp(right),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
    }
}

/// Why a text is no constraint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConstraintError {
    #[error("improper constraint: {0}")]
    Improper(String),
    #[error("constraint parser error")]
    Version,
    #[error("the constraint is longer than {CONSTRAINT_BYTES_MAX} bytes")]
    TooLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    TildeOrEqual,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// Spellings as an alternation tries them: the first that fits is taken.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    (">", Operator::Greater),
    ("<=", Operator::LessOrEqual),
    ("<", Operator::Less),
    ("=>", Operator::GreaterOrEqual),
    ("=<", Operator::LessOrEqual),
    ("=", Operator::TildeOrEqual),
    ("~>", Operator::Tilde),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

/// One comparison; the flags say which places were left open.
#[derive(Debug, Clone)]
struct Comparison {
    operator: Operator,
    version: Version,
    is_open: bool,
    is_minor_open: bool,
    is_patch_open: bool,
}

/// Groups of comparisons: one group must hold as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Constraint {
    groups: Vec<Vec<Comparison>>,
}

/// What stands in a constraint for a number: Masterminds' class of characters has the bar too.
fn is_wild_segment(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, 'x' | 'X' | '*' | '|')
}

/// Go's `\s`.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{c}' | '\r')
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches(is_blank)
}

impl Constraint {
    /// Reads constraints: comparisons joined by commas or blanks, groups joined by `||`.
    pub(crate) fn parse(text: &str) -> Result<Self, ConstraintError> {
        if text.len() > CONSTRAINT_BYTES_MAX {
            return Err(ConstraintError::TooLong);
        }
        let rewritten = without_hyphen_ranges(text);
        let groups = rewritten.split("||").map(parse_group).collect::<Result<_, _>>()?;
        Ok(Self { groups })
    }

    /// Says whether a version satisfies a whole group.
    pub(crate) fn is_met_by(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| {
            let takes_prereleases = group.iter().any(|comparison| !comparison.version.prerelease.is_empty());
            (version.prerelease.is_empty() || takes_prereleases) && group.iter().all(|one| one.is_met_by(version))
        })
    }
}

/// `1.2 - 3.4` becomes `>= 1.2, <= 3.4`.
fn without_hyphen_ranges(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        if let Some((low, high, after)) = hyphen_range(rest) {
            written.push_str(&format!(">= {low}, <= {high} "));
            rest = after;
            continue;
        }
        let mut chars = rest.chars();
        written.extend(chars.next());
        rest = chars.as_str();
    }
    written
}

/// A range at the start of a text, blanks around it included.
fn hyphen_range(text: &str) -> Option<(&str, &str, &str)> {
    let start = skip_blanks(text);
    let low = parts(start, is_wild_segment)?;
    let (low, rest) = start.split_at_checked(low.length)?;
    let hyphen = skip_blanks(rest);
    let after = hyphen.strip_prefix('-').filter(|_| hyphen.len() < rest.len())?;
    let start = skip_blanks(after);
    if start.len() == after.len() {
        return None;
    }
    let high = parts(start, is_wild_segment)?;
    let (high, rest) = start.split_at_checked(high.length)?;
    Some((low, high, skip_blanks(rest)))
}

fn parse_group(text: &str) -> Result<Vec<Comparison>, ConstraintError> {
    let improper = || ConstraintError::Improper(text.to_owned());
    let mut comparisons = Vec::new();
    let mut rest = skip_blanks(text);
    loop {
        let (operator, after) = OPERATORS
            .iter()
            .find_map(|(spelling, operator)| Some((*operator, rest.strip_prefix(spelling)?)))
            .unwrap_or((Operator::TildeOrEqual, rest));
        let after = skip_blanks(after);
        let parts = parts(after, is_wild_segment).ok_or_else(improper)?;
        let end = after.get(parts.length..).unwrap_or_default();
        comparisons.push(comparison(operator, &parts)?);
        let next = skip_blanks(end);
        if next.is_empty() {
            return Ok(comparisons);
        }
        rest = match next.strip_prefix(',') {
            Some(next) => skip_blanks(next),
            None if next.len() < end.len() => next,
            None => return Err(improper()),
        };
    }
}

fn comparison(operator: Operator, parts: &Parts<'_>) -> Result<Comparison, ConstraintError> {
    let is_wild = |segment: Option<&str>| matches!(segment, None | Some("x" | "X" | "*"));
    let suffix = if parts.prerelease.is_empty() { String::new() } else { format!("-{}", parts.prerelease) };
    let metadata = if parts.metadata.is_empty() { String::new() } else { format!("+{}", parts.metadata) };
    let (mut is_minor_open, mut is_patch_open) = (false, false);
    let (major, minor) = (parts.major, parts.minor.unwrap_or("0"));
    let (is_open, text) = if is_wild(Some(major)) {
        (true, format!("0.0.0{suffix}"))
    } else if is_wild(parts.minor) {
        is_minor_open = true;
        (true, format!("{major}.0.0{suffix}"))
    } else if is_wild(parts.patch) {
        is_patch_open = true;
        (true, format!("{major}.{minor}.0{suffix}"))
    } else {
        (false, format!("{major}.{minor}.{}{suffix}{metadata}", parts.patch.unwrap_or("0")))
    };
    let version = Version::parse(&text).map_err(|_| ConstraintError::Version)?;
    Ok(Comparison { operator, version, is_open, is_minor_open, is_patch_open })
}

impl Comparison {
    fn is_met_by(&self, version: &Version) -> bool {
        let own = &self.version;
        let order = version.compare(own);
        match self.operator {
            Operator::TildeOrEqual if self.is_open => self.is_tilde_met_by(version, order),
            Operator::TildeOrEqual => order == Ordering::Equal,
            Operator::Tilde => self.is_tilde_met_by(version, order),
            Operator::NotEqual => self.differs_from(version, order),
            Operator::Greater if !self.is_open => order == Ordering::Greater,
            Operator::Greater => match version.major.cmp(&own.major) {
                Ordering::Greater => true,
                Ordering::Less => false,
                Ordering::Equal if self.is_minor_open => false,
                Ordering::Equal if self.is_patch_open => version.minor > own.minor,
                Ordering::Equal => order == Ordering::Greater,
            },
            Operator::Less => order == Ordering::Less,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::LessOrEqual if !self.is_open => order != Ordering::Greater,
            Operator::LessOrEqual => {
                version.major < own.major
                    || version.major == own.major && (self.is_minor_open || version.minor <= own.minor)
            }
            Operator::Caret => self.is_caret_met_by(version, order),
        }
    }

    fn differs_from(&self, version: &Version, order: Ordering) -> bool {
        let own = &self.version;
        if !self.is_open {
            return order != Ordering::Equal;
        }
        if own.major != version.major || own.minor != version.minor && !self.is_minor_open {
            return true;
        }
        if self.is_minor_open {
            return false;
        }
        if self.is_patch_open {
            let has_label = !(own.prerelease.is_empty() && version.prerelease.is_empty());
            return has_label && compare_prereleases(&version.prerelease, &own.prerelease) != Ordering::Equal;
        }
        own.patch != version.patch || order != Ordering::Equal
    }

    /// From the version on within its minor, or within its major when the minor is open.
    fn is_tilde_met_by(&self, version: &Version, order: Ordering) -> bool {
        let own = &self.version;
        if order == Ordering::Less {
            return false;
        }
        // `~0.0.0` and `*` take everything.
        if (own.major, own.minor, own.patch) == (0, 0, 0) && !self.is_minor_open && !self.is_patch_open {
            return true;
        }
        version.major == own.major && (version.minor == own.minor || self.is_minor_open)
    }

    /// From the version on within the first place that is not 0.
    fn is_caret_met_by(&self, version: &Version, order: Ordering) -> bool {
        let own = &self.version;
        if order == Ordering::Less {
            return false;
        }
        if own.major > 0 || self.is_minor_open {
            return version.major == own.major;
        }
        if version.major > 0 {
            return false;
        }
        if own.minor > 0 || self.is_patch_open {
            return version.minor == own.minor;
        }
        version.minor == 0 && version.patch == own.patch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_met(constraint: &str, version: &str) -> Result<bool, ConstraintError> {
        Ok(Constraint::parse(constraint)?.is_met_by(&Version::parse(version).unwrap()))
    }

    #[test]
    fn constraints_take_what_they_say() {
        let rows = [
            (">=1.19-0", "v1.35.0", true),
            (">=1.19.0-0", "1.27.3-gke.100", true),
            (">=1.19.0", "1.27.3-gke.100", false),
            ("^1.2", "1.9.0", true),
            ("^0.2.3", "0.3.0", false),
            ("~1.2.3", "1.2.9", true),
            ("~1", "1.9.9", true),
            ("1.x", "1.4.0", true),
            ("*", "9.9.9", true),
            ("1.2 - 1.4.5", "1.4.5", true),
            ("1.2 - 1.4.5", "1.4.6", false),
            ("<1.0.0 || >=2.0.0 <3", "2.5.0", true),
            ("<1.0.0 || >=2.0.0,<3", "1.5.0", false),
            ("!=1.2.x", "1.2.5", false),
            ("> 1.2", "1.2.9", false),
        ];
        for (constraint, version, expected) in rows {
            assert_eq!(is_met(constraint, version), Ok(expected), "{constraint} {version}");
        }
        assert_eq!(is_met("foo", "1.0.0"), Err(ConstraintError::Improper("foo".to_owned())));
        assert_eq!(is_met("", "1.0.0"), Err(ConstraintError::Improper(String::new())));
    }

    #[test]
    fn prereleases_are_ordered_by_identifiers() {
        let order = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0"];
        for pair in order.windows(2) {
            let [low, high] = pair else { continue };
            assert_eq!(Version::parse(low).unwrap().compare(&Version::parse(high).unwrap()), Ordering::Less);
        }
    }
}
