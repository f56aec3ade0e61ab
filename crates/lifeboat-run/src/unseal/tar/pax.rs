//! PAX extended headers: `LENGTH KEY=VALUE\n`, again and again.

use super::refuse;
use std::{collections::HashSet, io};

/// What the records of one header say, as far as it matters here.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link_path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) acl_access: Option<Vec<u8>>,
    pub(super) acl_default: Option<Vec<u8>>,
    /// GNU sparse 1.0: the real size and name.
    pub(super) sparse_size: Option<u64>,
    pub(super) sparse_name: Option<Vec<u8>>,
}

/// Known, and without a meaning for what is restored.
const IGNORED: [&[u8]; 5] = [b"atime", b"ctime", b"comment", b"uname", b"gname"];

pub(super) fn parse(mut content: &[u8]) -> io::Result<Records> {
    let mut records = Records::default();
    let mut seen = HashSet::new();
    let (mut major, mut minor) = (None, None);
    while !content.is_empty() {
        let (key, value, rest) = record(content)?;
        content = rest;
        if !seen.insert(key) {
            return Err(refuse(&format!(
                "{} twice in an extended header",
                named(key)
            )));
        }
        match key {
            b"path" => records.path = Some(text(key, value)?),
            b"linkpath" => records.link_path = Some(text(key, value)?),
            b"size" => records.size = Some(decimal(key, value)?),
            b"uid" => records.uid = Some(decimal(key, value)?),
            b"gid" => records.gid = Some(decimal(key, value)?),
            b"mtime" => records.mtime = Some(time(key, value)?),
            b"hdrcharset" if matches!(value, b"BINARY" | b"ISO-IR 10646 2000 UTF-8") => {}
            b"SCHILY.acl.access" => records.acl_access = Some(value.to_vec()),
            b"SCHILY.acl.default" => records.acl_default = Some(value.to_vec()),
            b"GNU.sparse.major" => major = Some(decimal(key, value)?),
            b"GNU.sparse.minor" => minor = Some(decimal(key, value)?),
            b"GNU.sparse.realsize" => records.sparse_size = Some(decimal(key, value)?),
            b"GNU.sparse.name" => records.sparse_name = Some(text(key, value)?),
            _ if IGNORED.contains(&key) => {}
            _ => match key.strip_prefix(b"SCHILY.xattr.") {
                Some(name) if !name.is_empty() && !name.contains(&0) => {
                    records.xattrs.push((name.to_vec(), value.to_vec()));
                }
                None if is_harmless(key) => {}
                _ => {
                    return Err(refuse(&format!(
                        "the unknown {} in an extended header",
                        named(key)
                    )));
                }
            },
        }
    }
    let is_sparse = records.sparse_size.is_some() || records.sparse_name.is_some();
    if is_sparse || major.is_some() || minor.is_some() {
        let is_whole = records.sparse_size.is_some() && records.sparse_name.is_some();
        if (major, minor) != (Some(1), Some(0)) || !is_whole {
            return Err(refuse("a sparse file of another dialect than GNU 1.0"));
        }
    }
    Ok(records)
}

/// Remarks of other programs. What they might say of sizes and names is not among them: `SCHILY.realsize`
/// marks a sparse file of star, for one.
fn is_harmless(key: &[u8]) -> bool {
    const REMARKS: [&[u8]; 5] = [
        b"SCHILY.dev",
        b"SCHILY.ino",
        b"SCHILY.nlink",
        b"SCHILY.fflags",
        b"SCHILY.acl.ace",
    ];
    REMARKS.contains(&key)
        || key.starts_with(b"LIBARCHIVE.")
        || key.starts_with(b"RHT.security.")
        || key.starts_with(b"LIFEBOAT.")
}

/// The first record, and what follows it.
fn record(content: &[u8]) -> io::Result<(&[u8], &[u8], &[u8])> {
    let broken = || refuse("an extended header that is not made of records");
    let space = content
        .iter()
        .take(12)
        .position(|&byte| byte == b' ')
        .ok_or_else(broken)?;
    let length = decimal(b"length", &content[..space]).map_err(|_| broken())?;
    let length = usize::try_from(length).map_err(|_| broken())?;
    if length <= space + 1 || length > content.len() {
        return Err(broken());
    }
    let (record, rest) = content.split_at(length);
    let record = record[space + 1..].strip_suffix(b"\n").ok_or_else(broken)?;
    let equals = record
        .iter()
        .position(|&byte| byte == b'=')
        .ok_or_else(broken)?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    if key.is_empty() {
        return Err(broken());
    }
    Ok((key, value, rest))
}

fn text(key: &[u8], value: &[u8]) -> io::Result<Vec<u8>> {
    if value.is_empty() || value.contains(&0) {
        return Err(refuse(&format!("an empty or broken {}", named(key))));
    }
    Ok(value.to_vec())
}

pub(super) fn decimal(key: &[u8], value: &[u8]) -> io::Result<u64> {
    let number = || {
        if value.is_empty() || value.len() > 20 {
            return None;
        }
        value.iter().try_fold(0u64, |number, digit| {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
            number.checked_mul(10)?.checked_add(u64::from(digit))
        })
    };
    number().ok_or_else(|| refuse(&format!("a {} that is no number", named(key))))
}

/// Seconds since 1970 with any number of decimals, also below zero. Cut, not rounded, after the ninth.
fn time(key: &[u8], value: &[u8]) -> io::Result<(i64, u32)> {
    let broken = || refuse(&format!("a {} that is no time", named(key)));
    let (is_negative, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let mut parts = digits.splitn(2, |&byte| byte == b'.');
    let whole = decimal(key, parts.next().unwrap_or_default())?;
    let seconds = i64::try_from(whole).map_err(|_| broken())?;
    let mut nanos = 0;
    let decimals = parts.next().unwrap_or_default();
    if !decimals.iter().all(u8::is_ascii_digit) {
        return Err(broken());
    }
    for at in 0..9 {
        nanos = nanos * 10 + decimals.get(at).map_or(0, |digit| u32::from(digit - b'0'));
    }
    Ok(match (is_negative, nanos) {
        (false, _) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}

fn named(key: &[u8]) -> String {
    String::from_utf8_lossy(&key[..key.len().min(100)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{parse, time};

    fn records(pairs: &[(&str, &str)]) -> Vec<u8> {
        pairs
            .iter()
            .flat_map(|(key, value)| {
                let body = key.len() + value.len() + 3;
                let mut length = body + 1;
                while length != body + length.to_string().len() {
                    length = body + length.to_string().len();
                }
                format!("{length} {key}={value}\n").into_bytes()
            })
            .collect()
    }

    #[test]
    fn times_keep_their_nanoseconds_on_both_sides_of_1970() {
        assert_eq!(time(b"t", b"12").unwrap(), (12, 0));
        assert_eq!(time(b"t", b"12.5").unwrap(), (12, 500_000_000));
        assert_eq!(time(b"t", b"12.0000000019").unwrap(), (12, 1));
        assert_eq!(time(b"t", b"-0.25").unwrap(), (-1, 750_000_000));
        assert_eq!(time(b"t", b"-3").unwrap(), (-3, 0));
        assert!(time(b"t", b"1e9").is_err());
        assert!(time(b"t", b"").is_err());
        assert!(time(b"t", b"1.-5").is_err());
    }

    #[test]
    fn what_would_change_the_meaning_of_an_entry_and_is_not_known_is_refused() {
        for pairs in [
            &[("GNU.dumpdir", "x")][..],
            &[("SCHILY.realsize", "9")],
            &[("GNU.sparse.major", "0"), ("GNU.sparse.minor", "1")],
            &[("GNU.sparse.realsize", "5")],
            &[("charset", "KOI8-R")],
            &[("path", "a"), ("path", "b")],
            &[("path", "a\0b")],
            &[("size", "-1")],
        ] {
            assert!(parse(&records(pairs)).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn records_that_do_not_end_are_refused() {
        let whole = records(&[("path", "inv/7.pdf"), ("uid", "3000000")]);
        assert_eq!(parse(&whole).unwrap().uid, Some(3_000_000));
        let first = whole.iter().position(|&b| b == b'\n').unwrap() + 1;
        for cut in (1..whole.len()).filter(|cut| *cut != first) {
            assert!(parse(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }
}
