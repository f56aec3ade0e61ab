//! Roles and what they are members of. Whoever is there already stays as he is.

use super::{At, Login, Refusal, Server};
use crate::docker::restore::Spec;
use lifeboat_plan::Archive;
use lifeboat_run::{
    Cancel,
    target::{Beside, Filled, Outlook, Target, TargetError},
};
use serde_json::Value;
use std::{collections::BTreeSet, io::Read};

/// Of the roles of a server.
const BYTES_MAX: u64 = 64 << 20;

#[derive(Debug)]
pub(in crate::docker::dumps) struct Globals {
    at: At,
    server: Server,
    owner: String,
}

impl Globals {
    pub(in crate::docker::dumps) fn new(at: At, server: Server, owner: String) -> Self {
        Globals { at, server, owner }
    }

    fn failed(&self, refusal: Refusal) -> TargetError {
        refusal.of_target(&self.what())
    }
}

/// What is added while others are filled harms nobody: there is nothing to swap.
impl Target for Globals {
    fn what(&self) -> String {
        format!("the roles of service {}", self.server.address)
    }

    fn spec(&self) -> Value {
        let spec = Spec::Globals {
            server: self.server.source.clone(),
        };
        spec.to_value()
    }

    fn comes_first(&self) -> bool {
        true
    }

    fn look(&self, _: &Archive, cancel: &Cancel) -> Result<Outlook, TargetError> {
        let container = self.at.container().map_err(|r| self.failed(r))?;
        Login::find(&self.at, &container, &self.server, cancel).map_err(|r| self.failed(r))?;
        Ok(Outlook {
            remarks: vec!["roles that are there already stay as they are".to_owned()],
            ..Outlook::default()
        })
    }

    fn fill(
        &self,
        _: &Beside,
        _: &Archive,
        plain: &mut dyn Read,
        cancel: &Cancel,
    ) -> Result<Filled, TargetError> {
        let mut text = String::new();
        let read = plain.take(BYTES_MAX).read_to_string(&mut text);
        read.map_err(|error| TargetError::Reading {
            what: self.what(),
            error,
        })?;
        let container = self.at.container().map_err(|r| self.failed(r))?;
        let (login, _) =
            Login::find(&self.at, &container, &self.server, cancel).map_err(|r| self.failed(r))?;
        let roles = login
            .psql(&["SELECT rolname FROM pg_catalog.pg_roles"])
            .ask(&self.at, &container, cancel)
            .map_err(|r| self.failed(r))?;
        let there: BTreeSet<String> = roles
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        let (text, left) = without(&text, &there);
        let mut filled = Filled {
            bytes: text.len() as u64,
            ..Filled::default()
        };
        filled.remarks.extend(
            left.into_iter()
                .map(|line| format!("not done, because it needs a folder on the server: {line}")),
        );
        // All of it or nothing; what is not a statement of the server goes through psql.
        let mut tool = login.psql(&[]).owned_by(&self.owner);
        tool.command
            .argv
            .extend(["--single-transaction", "-f", "-"].map(str::to_owned));
        let mut bytes = text.as_bytes();
        tool.feed(&self.at, &container, &mut bytes, &self.what(), cancel)?;
        Ok(filled)
    }

    fn swap(&self, _: &Beside) -> Result<(), TargetError> {
        Ok(())
    }

    fn swap_back(&self, _: &Beside) -> Result<(), TargetError> {
        Ok(())
    }

    fn clear(&self, _: &Beside) -> Result<Vec<String>, TargetError> {
        Ok(Vec::new())
    }
}

/// The script without the roles that are `there`, and what else was left out. Every statement that
/// `pg_dumpall` writes of a role stands on a line of its own.
fn without(script: &str, there: &BTreeSet<String>) -> (String, Vec<String>) {
    let mut kept = String::with_capacity(script.len());
    let mut left = Vec::new();
    for line in script.split_inclusive('\n') {
        let statement = line.trim_end();
        let made = statement.strip_prefix("CREATE ROLE ");
        let changed = statement
            .strip_prefix("ALTER ROLE ")
            .filter(|rest| rest.contains(" WITH "));
        match made.or(changed).and_then(first_name) {
            Some(role) if there.contains(&role) => continue,
            _ => {}
        }
        if statement.starts_with("CREATE TABLESPACE ") || statement.starts_with("ALTER TABLESPACE ")
        {
            left.push(statement.to_owned());
            continue;
        }
        kept.push_str(line);
    }
    (kept, left)
}

/// `"Müller ""x""" WITH …` is about `Müller "x"`.
fn first_name(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', ';']).unwrap_or(text.len());
        return Some(text[..end].to_owned());
    };
    let mut name = String::new();
    let mut rest = quoted.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if rest.peek() == Some(&'"') => {
                rest.next();
                name.push('"');
            }
            '"' => return Some(name),
            c => name.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_there_stays_as_he_is_and_who_is_not_comes_back() {
        let script = "SET default_transaction_read_only = off;\n\
            CREATE ROLE postgres;\nALTER ROLE postgres WITH SUPERUSER PASSWORD 'x';\n\
            CREATE ROLE \"Müller \"\"x\"\"\";\nALTER ROLE \"Müller \"\"x\"\"\" WITH LOGIN;\n\
            ALTER ROLE postgres SET work_mem TO '8MB';\n\
            GRANT a TO postgres;\nCREATE TABLESPACE fast OWNER a LOCATION '/fast';\n";
        let there = BTreeSet::from(["postgres".to_owned()]);
        let (kept, left) = without(script, &there);
        assert!(!kept.contains("CREATE ROLE postgres"), "{kept}");
        assert!(!kept.contains("ALTER ROLE postgres WITH"), "{kept}");
        assert!(kept.contains("ALTER ROLE postgres SET"), "{kept}");
        assert!(kept.contains("CREATE ROLE \"Müller"), "{kept}");
        assert!(kept.contains("GRANT a TO postgres"), "{kept}");
        assert_eq!(left, ["CREATE TABLESPACE fast OWNER a LOCATION '/fast';"]);
        let both = BTreeSet::from(["postgres".to_owned(), "Müller \"x\"".to_owned()]);
        assert!(!without(script, &both).0.contains("Müller"));
    }

    #[test]
    fn a_quoted_name_ends_where_its_quotes_do() {
        for (text, name) in [
            ("shop;", Some("shop")),
            ("shop WITH LOGIN;", Some("shop")),
            ("\"a b\";", Some("a b")),
            ("\"it\"\"s\" WITH", Some("it\"s")),
            ("\"never ends", None),
        ] {
            assert_eq!(first_name(text).as_deref(), name, "{text}");
        }
    }
}
