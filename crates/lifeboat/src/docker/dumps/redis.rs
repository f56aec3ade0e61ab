//! Redis and Valkey: the snapshot that the server makes for a replica.

use super::{
    At, Container, Found, How, Refusal, Stream,
    program::{InContainer, Tool},
    scrub::Scrub,
    secret,
};
use crate::docker::{Command, cover::Server};
use lifeboat_run::{
    Cancel, Secret,
    source::{Fault, Format, Program, Running, SourceError},
};
use serde_json::{Map, Value};

const CLIENTS: [&str; 3] = ["redis-cli", "valkey-cli", "keydb-cli"];

pub(super) fn ask(
    at: &At,
    container: &Container,
    server: &Server,
    how: &How<'_>,
) -> Result<Vec<Found>, Refusal> {
    let login = Login::find(at, container, server, how.cancel)?;
    let what = format!("{} --rdb in service {}", login.client, server.address);
    let tool = login.tool(&["--rdb", "-"]).owned_by(how.owner);
    Ok(vec![Found {
        part: String::new(),
        kind: "redis",
        ending: "rdb".to_owned(),
        what: Ok(Stream {
            format: Format::Rdb,
            program: Box::new(Snapshot {
                plain: InContainer::new(what, at.clone(), tool),
                login,
            }),
            facts: Map::new(),
        }),
    }])
}

#[derive(Debug, Clone)]
struct Login {
    client: &'static str,
    user: Option<String>,
    password: Option<Secret>,
    port: Option<String>,
}

impl Login {
    /// With the client that the image has.
    fn find(
        at: &At,
        container: &Container,
        server: &Server,
        cancel: &Cancel,
    ) -> Result<Self, Refusal> {
        let given = server.settings.password_file.as_deref();
        let given = given
            .map(|path| secret::in_file(at, container, path, cancel))
            .transpose()?;
        let password = match given.or_else(|| of_command(container, "requirepass")) {
            None => {
                let names = ["REDIS_PASSWORD", "VALKEY_PASSWORD", "REDISCLI_AUTH"];
                secret::first_of(at, container, &names, cancel)?
            }
            password => password,
        };
        let mut login = Login {
            client: CLIENTS[0],
            user: server.settings.user.clone(),
            password,
            port: of_command(container, "port").map(|port| port.reveal().clone()),
        };
        let mut missing = None;
        for client in CLIENTS {
            login.client = client;
            match login.info(at, container, cancel) {
                Ok(_) => return Ok(login),
                Err(refusal) if refusal.fault == Fault::ToolMissing => {
                    missing.get_or_insert(refusal);
                }
                Err(refusal) => return Err(refusal),
            }
        }
        Err(missing.unwrap_or_else(|| Refusal::tool("no client was looked for")))
    }

    fn tool(&self, arguments: &[&str]) -> Tool {
        let mut command = Command::new([self.client, "--no-auth-warning"]);
        if let Some(user) = &self.user {
            command.argv.extend(["--user".to_owned(), user.clone()]);
        }
        if let Some(port) = &self.port {
            command.argv.extend(["-p".to_owned(), port.clone()]);
        }
        command
            .argv
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
        if let Some(password) = &self.password {
            command = command.with_env("REDISCLI_AUTH", password.clone());
        }
        Tool {
            command,
            scrub: Scrub::new(self.password.clone()),
            understand,
        }
    }

    /// The client ends well also when the server refuses.
    fn info(&self, at: &At, container: &Container, cancel: &Cancel) -> Result<Info, Refusal> {
        let tool = self.tool(&["INFO"]);
        let said = tool.ask(at, container, cancel)?;
        let said = String::from_utf8_lossy(&said).into_owned();
        match Info::parse(&said) {
            Some(info) => Ok(info),
            // A user for backups need not be allowed this.
            None if said.starts_with("NOPERM") => Ok(Info::default()),
            None => {
                let said = tool.scrub.text(said.trim());
                let fault = understand(&said).unwrap_or(Fault::ToolExit);
                Err(Refusal::new(fault, format!("{said:.200}")))
            }
        }
    }
}

fn understand(said: &str) -> Option<Fault> {
    let words = [
        "NOAUTH",
        "WRONGPASS",
        "invalid password",
        "AUTH failed",
        "NOPERM",
    ];
    words
        .iter()
        .any(|word| said.contains(word))
        .then_some(Fault::Auth)
}

/// `--requirepass secret`, also inside a line of shell, also as `$REDIS_PASSWORD`.
fn of_command(container: &Container, option: &str) -> Option<Secret> {
    let words = container.entrypoint.iter().chain(&container.command);
    let words: Vec<&str> = words.map(String::as_str).collect();
    let option = format!("--{option}");
    let found = match words.iter().position(|word| *word == option) {
        Some(at) => words.get(at + 1).copied().map(str::to_owned),
        None => words.iter().find_map(|line| in_shell(line, &option)),
    }?;
    let variable = found
        .strip_prefix("${")
        .and_then(|name| name.strip_suffix('}'))
        .or_else(|| found.strip_prefix('$'));
    match variable {
        Some(name) => container.env(name.split([':', '-']).next()?).cloned(),
        None => Some(Secret::new(found)),
    }
}

/// The word after `option`, out of its quotes.
fn in_shell(line: &str, option: &str) -> Option<String> {
    let mut rest = line;
    let after = loop {
        let at = rest.find(option)?;
        rest = &rest[at + option.len()..];
        if rest.starts_with(char::is_whitespace) {
            break rest.trim_start();
        }
    };
    let word = match after.chars().next()? {
        quote @ ('"' | '\'') => after[1..].split(quote).next()?,
        _ => after.split(char::is_whitespace).next()?,
    };
    (!word.is_empty()).then(|| word.to_owned())
}

/// What a server says of itself.
#[derive(Debug, Default, PartialEq)]
struct Info {
    version: String,
    keys: Map<String, Value>,
}

impl Info {
    fn parse(said: &str) -> Option<Self> {
        let mut info = Info::default();
        for line in said.lines() {
            let Some((name, value)) = line.trim_end().split_once(':') else {
                continue;
            };
            match name {
                "valkey_version" => info.version = format!("Valkey {value}"),
                "redis_version" if info.version.is_empty() => info.version = value.to_owned(),
                _ => {
                    let database = name.strip_prefix("db").and_then(|n| n.parse::<u32>().ok());
                    let keys = value
                        .strip_prefix("keys=")
                        .and_then(|v| v.split(',').next());
                    if let (Some(_), Some(Ok(keys))) = (database, keys.map(str::parse::<u64>)) {
                        info.keys.insert(name.to_owned(), keys.into());
                    }
                }
            }
        }
        (!info.version.is_empty()).then_some(info)
    }

    fn facts(self) -> Map<String, Value> {
        match self.version.is_empty() {
            true => Map::new(),
            false => Map::from_iter([
                ("server_version".to_owned(), self.version.into()),
                ("keys".to_owned(), self.keys.into()),
                ("keys_at".to_owned(), "just before the dump".into()),
            ]),
        }
    }
}

#[derive(Debug)]
struct Snapshot {
    plain: InContainer,
    login: Login,
}

impl Program for Snapshot {
    fn what(&self) -> String {
        self.plain.what.clone()
    }

    fn start(&self, cancel: &Cancel) -> Result<Box<dyn Running>, SourceError> {
        let container = self.plain.container()?;
        let info = self.login.info(&self.plain.at, &container, cancel);
        cancel.check()?;
        let info = info.map_err(|refusal| refusal.of(&self.plain.what))?;
        let work = self.plain.exec_in(&container, cancel)?;
        Ok(Box::new(work.with_facts(info.facts())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(command: &[&str]) -> Container {
        Container {
            command: command.iter().map(|&word| word.to_owned()).collect(),
            env: vec![("PW".to_owned(), Secret::new("of env".to_owned()))],
            ..Container::default()
        }
    }

    #[test]
    fn a_password_on_the_servers_command_line_is_found() {
        for (command, password) in [
            (&["redis-server", "--requirepass", "a b"][..], Some("a b")),
            (
                &["sh", "-c", "exec redis-server --requirepass 'a b' --port 1"],
                Some("a b"),
            ),
            (
                &["sh", "-c", "redis-server --requirepass \"$PW\""],
                Some("of env"),
            ),
            (
                &["sh", "-c", "redis-server --requirepass ${PW:-none}"],
                Some("of env"),
            ),
            (
                &["sh", "-c", "redis-server --requirepass-x y --requirepass z"],
                Some("z"),
            ),
            (&["redis-server", "--requirepass"], None),
            (&["redis-server"], None),
        ] {
            let found = of_command(&container(command), "requirepass");
            assert_eq!(
                found.as_ref().map(|s| s.reveal().as_str()),
                password,
                "{command:?}"
            );
        }
    }

    #[test]
    fn keys_are_counted_per_database() {
        let said = "# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.1.0\r\ndbsize:3\r\ndb0:keys=4,expires=0\r\ndb11:keys=7,e=1\r\n";
        let info = Info::parse(said).unwrap();
        assert_eq!(info.version, "Valkey 8.1.0");
        assert_eq!(info.keys.len(), 2);
        assert_eq!(info.keys["db11"], 7);
        assert_eq!(Info::parse("NOAUTH Authentication required.\n"), None);
    }
}
