//! Access lists: from the text that archives hold (`user::rw-,user:1000:r--,mask::r--`) into the form
//! that Linux takes as an attribute.

use std::{collections::HashMap, sync::OnceLock};

/// Names of users and groups on this machine, read when a list first names one.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    users: OnceLock<HashMap<String, u32>>,
    groups: OnceLock<HashMap<String, u32>>,
}

const VERSION: u32 = 2;
const NOBODY: u32 = u32::MAX;

struct Line {
    tag: u16,
    permissions: u16,
    id: u32,
}

pub(super) fn encode(text: &[u8], accounts: &Accounts) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is no text".to_owned())?;
    let mut lines = text
        .split([',', '\n'])
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .map(|line| parse(line, accounts))
        .collect::<Result<Vec<_>, _>>()?;
    // The order that the kernel insists on.
    lines.sort_by_key(|line| (line.tag, line.id));
    let mut value = VERSION.to_le_bytes().to_vec();
    for line in lines {
        value.extend_from_slice(&line.tag.to_le_bytes());
        value.extend_from_slice(&line.permissions.to_le_bytes());
        value.extend_from_slice(&line.id.to_le_bytes());
    }
    Ok(value)
}

/// `tag:qualifier:permissions`, to which star adds the number behind a name.
fn parse(line: &str, accounts: &Accounts) -> Result<Line, String> {
    let wrong = || format!("{line:?} is no line of one");
    let parts: Vec<&str> = line.split(':').collect();
    let (tag, name, permissions, number) = match parts[..] {
        [tag, name, permissions] => (tag, name, permissions, None),
        [tag, name, permissions, number] => (tag, name, permissions, Some(number)),
        [tag @ ("mask" | "m" | "other" | "o"), permissions] => (tag, "", permissions, None),
        _ => return Err(wrong()),
    };
    let (tag, is_user) = match (tag, name.is_empty()) {
        ("user" | "u", true) => (0x01, true),
        ("user" | "u", false) => (0x02, true),
        ("group" | "g", true) => (0x04, false),
        ("group" | "g", false) => (0x08, false),
        ("mask" | "m", true) => (0x10, false),
        ("other" | "o", true) => (0x20, false),
        _ => return Err(wrong()),
    };
    let id = match number.unwrap_or(name) {
        "" => NOBODY,
        text => match text.parse() {
            Ok(id) => id,
            Err(_) => accounts
                .find(text, is_user)
                .ok_or_else(|| format!("nobody here is called {text:?}"))?,
        },
    };
    let bits = permissions.chars().try_fold(0u16, |bits, letter| {
        Some(
            bits | match letter {
                'r' => 4,
                'w' => 2,
                'x' => 1,
                '-' => 0,
                _ => return None,
            },
        )
    });
    Ok(Line {
        tag,
        permissions: bits.ok_or_else(wrong)?,
        id,
    })
}

impl Accounts {
    fn find(&self, name: &str, is_user: bool) -> Option<u32> {
        let (cell, file) = if is_user {
            (&self.users, "/etc/passwd")
        } else {
            (&self.groups, "/etc/group")
        };
        cell.get_or_init(|| {
            let lines = std::fs::read_to_string(file).unwrap_or_default();
            lines
                .lines()
                .filter_map(|line| {
                    let mut fields = line.split(':');
                    let name = fields.next()?.to_owned();
                    Some((name, fields.nth(1)?.parse().ok()?))
                })
                .collect()
        })
        .get(name)
        .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Accounts, encode};

    #[test]
    fn lists_are_encoded_in_the_kernels_order() {
        let value = encode(
            b"user::rw-,user:1000:r--,group::r-x,mask::r--,other::---",
            &Accounts::default(),
        )
        .unwrap();
        let ids: Vec<u8> = value[4..].chunks(8).map(|line| line[0]).collect();
        assert_eq!(value[..4], [2, 0, 0, 0]);
        assert_eq!(ids, [1, 2, 4, 0x10, 0x20]);
        assert_eq!(value[12..20], [2, 0, 4, 0, 0xe8, 3, 0, 0]);
        let named = encode(b"user:root:rwx", &Accounts::default());
        assert_eq!(named.unwrap()[4..], [2, 0, 7, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn lines_that_are_none_are_told_of() {
        for text in ["user", "user:x:rq-", "king::rwx", "user:no body:r--"] {
            assert!(
                encode(text.as_bytes(), &Accounts::default()).is_err(),
                "{text}"
            );
        }
    }
}
