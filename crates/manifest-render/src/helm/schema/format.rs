//! The formats of strings that schemas before 2019 insist on.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::fault::quote;

/// Says what is wrong with a text of a format; a format that nobody knows holds for every text.
pub(super) fn format_fault(format: &str, text: &str) -> Result<(), String> {
    match format {
        "ipv4" => ipv4(text),
        "ipv6" => ipv6(text),
        "hostname" => hostname(text),
        "email" => email(text),
        "uri" | "iri" => uri(text),
        "date" => date(text),
        "time" => time(text),
        "date-time" => date_time(text),
        "uuid" => uuid(text),
        "regex" => regex::Regex::new(text).map(|_| ()).map_err(|_| format!("error parsing regexp: {text}")),
        "json-pointer" => pointer(text),
        _ => Ok(()),
    }
}

fn fail(message: impl Into<String>) -> Result<(), String> {
    Err(message.into())
}

fn ipv4(text: &str) -> Result<(), String> {
    let groups: Vec<&str> = text.split('.').collect();
    if groups.len() != 4 {
        return fail("expected four decimals");
    }
    for group in groups {
        if group.len() > 1 && group.starts_with('0') {
            return fail("leading zeros");
        }
        match group.parse::<i64>() {
            Ok(0..=255) => {}
            Ok(_) => return fail("decimal must be between 0 and 255"),
            Err(_) => return fail(format!("strconv.Atoi: parsing \"{group}\": invalid syntax")),
        }
    }
    text.parse::<Ipv4Addr>().map(|_| ()).map_err(|error| error.to_string())
}

fn ipv6(text: &str) -> Result<(), String> {
    if !text.contains(':') {
        return fail("missing colon");
    }
    if text.contains('%') {
        return fail("zone id is not a part of ipv6 address");
    }
    text.parse::<Ipv6Addr>().map(|_| ()).map_err(|_| format!("ParseAddr(\"{text}\"): unable to parse IP"))
}

fn hostname(text: &str) -> Result<(), String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.len() > 253 {
        return fail("more than 253 characters long");
    }
    for label in text.split('.') {
        if label.is_empty() || label.len() > 63 {
            return fail("label must be 1 to 63 characters long");
        }
        if label.starts_with('-') {
            return fail("label starts with hyphen");
        }
        if label.ends_with('-') {
            return fail("label ends with hyphen");
        }
        if let Some(odd) = label.chars().find(|it| !(it.is_ascii_alphanumeric() || *it == '-')) {
            return fail(format!("invalid character {}", quote(odd.encode_utf8(&mut [0; 4]))));
        }
    }
    Ok(())
}

fn email(text: &str) -> Result<(), String> {
    if text.len() > 254 {
        return fail("more than 255 characters long");
    }
    let Some((local, domain)) = text.rsplit_once('@') else { return fail("missing @") };
    if local.len() > 64 {
        return fail("local part more than 64 characters long");
    }
    if !(local.len() > 1 && local.starts_with('"') && local.ends_with('"')) {
        if local.starts_with('.') {
            return fail("starts with dot");
        }
        if local.ends_with('.') {
            return fail("ends with dot");
        }
        if local.contains("..") {
            return fail("consecutive dots");
        }
        let is_taken = |it: &char| it.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(*it);
        if let Some(odd) = local.chars().find(|it| !is_taken(it)) {
            return fail(format!("invalid character {}", quote(odd.encode_utf8(&mut [0; 4]))));
        }
    }
    if domain.starts_with('[') && domain.ends_with(']') {
        return Ok(());
    }
    hostname(domain).map_err(|why| format!("invalid domain: {why}"))
}

fn uri(text: &str) -> Result<(), String> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_scheme = scheme.starts_with(|it: char| it.is_ascii_alphabetic())
        && scheme.chars().all(|it| it.is_ascii_alphanumeric() || "+-.".contains(it));
    if is_scheme { Ok(()) } else { fail("relative url") }
}

fn date(text: &str) -> Result<(), String> {
    let bad = || format!("parsing time \"{text}\" as \"2006-01-02\": cannot parse \"{text}\" as \"2006\"");
    let [year, month, day] = numbers(text, "-").ok_or_else(bad)?;
    let is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let is_shaped = text.len() == 10 && text.as_bytes().get(4) == Some(&b'-');
    if !is_shaped || !(1..=12).contains(&month) {
        return Err(bad());
    }
    if day < 1 || day > days { fail(format!("parsing time \"{text}\": day out of range")) } else { Ok(()) }
}

/// Three numbers with a sign between them.
fn numbers(text: &str, between: &str) -> Option<[u32; 3]> {
    let mut parts = text
        .splitn(3, between)
        .map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u32>().ok()).flatten());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

fn time(text: &str) -> Result<(), String> {
    if text.len() < 9 {
        return fail("less than 9 characters long");
    }
    let Some((clock, rest)) = text.split_at_checked(8) else { return fail("missing hour/min/sec") };
    let Some([hour, minute, second]) = numbers(clock, ":") else { return fail("invalid hour/min/sec") };
    if hour > 23 || minute > 59 || second > 60 {
        return fail("hour/min/sec out of range");
    }
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return fail("no digits in second fraction");
            }
            fraction.get(digits..).unwrap_or_default()
        }
        None => rest,
    };
    if offset.eq_ignore_ascii_case("z") {
        return Ok(());
    }
    if offset.len() != 6 {
        return fail("offset must be 6 characters long");
    }
    if !offset.starts_with(['+', '-']) {
        return fail("offset must begin with plus/minus");
    }
    match offset.get(1..).and_then(|text| text.split_once(':')).map(|(h, m)| (h.parse::<u32>(), m.parse::<u32>())) {
        Some((Ok(0..=23), Ok(0..=59))) => Ok(()),
        Some((Ok(_), Ok(_))) => fail("hour/min in offset out of range"),
        Some(_) => fail("invalid hour/min in offset"),
        None => fail("missing colon in offset in correct place"),
    }
}

fn date_time(text: &str) -> Result<(), String> {
    if text.len() < 20 {
        return fail("less than 20 characters long");
    }
    let Some((day, rest)) = text.split_at_checked(10) else { return fail("11th character must be t or T") };
    let Some(clock) = rest.strip_prefix(['t', 'T']) else { return fail("11th character must be t or T") };
    date(day).map_err(|why| format!("invalid date element: {why}"))?;
    time(clock).map_err(|why| format!("invalid time element: {why}"))
}

fn uuid(text: &str) -> Result<(), String> {
    const LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];
    let groups: Vec<&str> = text.split('-').collect();
    if groups.len() != LENGTHS.len() {
        return fail("must have 5 elements");
    }
    for (index, (group, length)) in groups.iter().zip(LENGTHS).enumerate() {
        if group.len() != length {
            return fail(format!("element {} must be {length} characters long", index + 1));
        }
        if let Some(odd) = group.chars().find(|it| !it.is_ascii_hexdigit()) {
            return fail(format!("non-hex character {}", quote(odd.encode_utf8(&mut [0; 4]))));
        }
    }
    Ok(())
}

fn pointer(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    if !text.starts_with('/') {
        return fail("not starting with /");
    }
    let is_escape = |rest: &str| rest.starts_with(['0', '1']);
    if text.match_indices('~').any(|(at, _)| !text.get(at + 1..).is_some_and(is_escape)) {
        return fail("~ must be followed by 0 or 1");
    }
    Ok(())
}
