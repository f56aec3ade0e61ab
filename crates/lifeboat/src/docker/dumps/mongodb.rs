//! MongoDB: an archive of the whole server, or of the databases that a label names.
//!
//! Its tool takes a password from its command line, which everybody sees, or from a file. The file is a pipe:
//! the shell writes what it was given in its environment into the tool's standard input.

use super::{
    At, Container, Found, How, Refusal, Stream,
    program::{InContainer, Tool},
    scrub::Scrub,
    secret,
};
use crate::docker::{Command, cover::Server};
use lifeboat_run::{
    Secret,
    source::{Fault, Format},
};
use serde_json::Map;

const CONFIG: &str = "LIFEBOAT_CONFIG";
const WITH_CONFIG: &str =
    "printf '%s\\n' \"$LIFEBOAT_CONFIG\" | exec mongodump --config=/dev/stdin \"$@\"";

pub(super) fn ask(
    at: &At,
    container: &Container,
    server: &Server,
    how: &How<'_>,
) -> Result<Vec<Found>, Refusal> {
    let settings = &server.settings;
    if !settings.exclude.is_empty() {
        return Err(Refusal::tool(
            "mongodump can leave no database out; name those that are wanted with lifeboat.databases",
        ));
    }
    let of_env = |names: &[&str]| secret::first_of(at, container, names, how.cancel);
    let user = match &settings.user {
        Some(user) => Some(user.clone()),
        None => of_env(&["MONGO_INITDB_ROOT_USERNAME", "MONGODB_ROOT_USER"])?
            .map(|user| user.reveal().clone()),
    };
    let password = match &settings.password_file {
        Some(path) => Some(secret::in_file(at, container, path, how.cancel)?),
        None => of_env(&["MONGO_INITDB_ROOT_PASSWORD", "MONGODB_ROOT_PASSWORD"])?,
    };
    // Images that are given a password alone call the user so.
    let user = user.or_else(|| password.as_ref().map(|_| "root".to_owned()));
    version(at, container, how)?;
    let databases: Vec<Option<&String>> = match settings.databases.is_empty() {
        true => vec![None],
        false => settings.databases.iter().map(Some).collect(),
    };
    let found = databases.into_iter().map(|database| {
        let of = database.map_or_else(String::new, |name| format!(" of {name:?}"));
        let what = format!("mongodump{of} in service {}", server.address);
        let tool = dump(
            user.as_deref(),
            password.as_ref(),
            database.map(String::as_str),
        );
        Found {
            part: database.cloned().unwrap_or_default(),
            kind: "mongodb",
            ending: "archive".to_owned(),
            what: Ok(Stream {
                format: Format::MongoArchive,
                program: Box::new(InContainer::new(what, at.clone(), tool.owned_by(how.owner))),
                facts: Map::new(),
            }),
        }
    });
    Ok(found.collect())
}

fn dump(user: Option<&str>, password: Option<&Secret>, database: Option<&str>) -> Tool {
    let mut argv: Vec<String> = match password {
        Some(_) => ["sh", "-c", WITH_CONFIG, "mongodump"]
            .map(str::to_owned)
            .to_vec(),
        None => vec!["mongodump".to_owned()],
    };
    argv.push("--archive".to_owned());
    if let Some(user) = user {
        argv.push(format!("--username={user}"));
        argv.push("--authenticationDatabase=admin".to_owned());
    }
    if let Some(database) = database {
        argv.push(format!("--db={database}"));
    }
    let mut command = Command::new(argv);
    if let Some(password) = password {
        // Every JSON text is YAML.
        let quoted = serde_json::Value::from(password.reveal().as_str()).to_string();
        command = command.with_env(CONFIG, Secret::new(format!("password: {quoted}")));
    }
    Tool {
        command,
        scrub: Scrub::new(password.cloned()),
        understand,
    }
}

fn version(at: &At, container: &Container, how: &How<'_>) -> Result<(), Refusal> {
    let version = Tool {
        command: Command::new(["mongodump", "--version"]),
        scrub: Scrub::default(),
        understand,
    };
    version.ask(at, container, how.cancel).map(|_| ())
}

fn understand(said: &str) -> Option<Fault> {
    let says = |words: &str| said.to_ascii_lowercase().contains(words);
    let refused = says("authentication failed") || says("requires authentication");
    (refused || says("not authorized")).then_some(Fault::Auth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_in_no_argument() {
        let password = Secret::new("can\"ary\\ ü".to_owned());
        let tool = dump(Some("root"), Some(&password), Some("shop"));
        assert!(!tool.command.argv.concat().contains("ary"));
        assert_eq!(tool.command.env.len(), 1);
        let config = tool.command.env[0].1.reveal();
        assert_eq!(config, r#"password: "can\"ary\\ ü""#);
        assert_eq!(
            dump(None, None, None).command.argv,
            ["mongodump", "--archive"]
        );
    }
}
