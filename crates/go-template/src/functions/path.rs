//! Go's `path` package: slash-separated paths as text.

/// Returns the shortest equivalent path: no empty, `.` or inner `..` elements.
pub(crate) fn clean(path: &[u8]) -> Vec<u8> {
    let is_rooted = path.first() == Some(&b'/');
    let mut kept: Vec<&[u8]> = Vec::new();
    for element in path.split(|&byte| byte == b'/') {
        match element {
            b"" | b"." => {}
            b".." => match kept.last() {
                Some(&last) if last != b".." => {
                    kept.pop();
                }
                None if is_rooted => {}
                _ => kept.push(element),
            },
            _ => kept.push(element),
        }
    }
    let joined = kept.join(&b'/');
    match (is_rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

/// Returns the last element without trailing slashes; `.` for an empty path.
pub(crate) fn base(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let trimmed = without_trailing_slashes(path);
    if trimmed.is_empty() {
        return b"/";
    }
    match trimmed.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => trimmed.get(slash + 1..).unwrap_or_default(),
        None => trimmed,
    }
}

/// Returns everything but the last element, cleaned.
pub(crate) fn dir(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    clean(path.get(..end).unwrap_or_default())
}

/// Returns the last element's name from its last dot on.
pub(crate) fn ext(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'.' || byte == b'/') {
        Some(place) if path.get(place) == Some(&b'.') => path.get(place..).unwrap_or_default(),
        _ => b"",
    }
}

/// Says whether the path begins with a slash.
pub(crate) fn is_absolute(path: &[u8]) -> bool {
    path.first() == Some(&b'/')
}

fn without_trailing_slashes(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    path.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_cut() {
        let rows = [
            ("", ".", ".", ".", ""),
            ("/", "/", "/", "/", ""),
            ("a//b/../c/./", "a/c", ".", "a/c", ""),
            ("/../a.tar.gz", "/a.tar.gz", "a.tar.gz", "/", ".gz"),
            ("../../x", "../../x", "x", "../..", ""),
            ("a.b/c", "a.b/c", "c", "a.b", ""),
            ("///", "/", "/", "/", ""),
        ];
        for (path, cleaned, last, parent, extension) in rows {
            let path = path.as_bytes();
            assert_eq!(clean(path), cleaned.as_bytes());
            assert_eq!(base(path), last.as_bytes());
            assert_eq!(dir(path), parent.as_bytes());
            assert_eq!(ext(path), extension.as_bytes());
        }
    }
}
