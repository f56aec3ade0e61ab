//! As whom, and which way, a server lets us in: as root, whose password the images take from the
//! environment; without one as root of the system; then as the application's user, who sees its own
//! database alone. By the socket first, then over the loopback.

use super::{At, Container, Dumper, LOOK, Looked, Refusal, Server, understand};
use crate::docker::{
    Command,
    dumps::{program::Tool, scrub::Scrub, secret},
};
use lifeboat_run::{Cancel, Secret, source::Fault};

#[derive(Debug, Clone)]
pub(super) struct Login {
    user: String,
    password: Option<Secret>,
    host: &'static str,
    client: &'static str,
    /// Its application's user: nobody to ask for users and grants.
    limited: bool,
}

const HOSTS: [&str; 2] = ["localhost", "127.0.0.1"];
const CLIENTS: [&str; 2] = ["mariadb", "mysql"];

impl Login {
    pub(super) fn find(
        at: &At,
        container: &Container,
        server: &Server,
        cancel: &Cancel,
    ) -> Result<(Self, Looked), Refusal> {
        let mut refused: Option<Refusal> = None;
        for who in credentials(at, container, server, cancel)? {
            match who.any_way(at, container, cancel) {
                Ok(found) => return Ok(found),
                Err(refusal) if refusal.fault == Fault::Auth => {
                    refused.get_or_insert(refusal);
                }
                Err(refusal) => return Err(refusal),
            }
        }
        Err(refused.unwrap_or_else(|| Refusal::new(Fault::Auth, "no user is known")))
    }

    fn any_way(
        mut self,
        at: &At,
        container: &Container,
        cancel: &Cancel,
    ) -> Result<(Self, Looked), Refusal> {
        let mut refused: Option<Refusal> = None;
        for client in CLIENTS {
            for host in HOSTS {
                (self.client, self.host) = (client, host);
                match self.ask(LOOK, at, container, cancel) {
                    Ok(said) => {
                        let looked = Looked::parse(&said).ok_or_else(|| {
                            Refusal::tool(format!("{client} gave no sense: {:.200}", said.trim()))
                        })?;
                        return Ok((self, looked));
                    }
                    // The other way would only be one more wrong attempt.
                    Err(refusal) if refusal.fault == Fault::Auth => return Err(refusal),
                    Err(refusal) if refusal.fault == Fault::ToolMissing => {
                        refused.get_or_insert(refusal);
                        break;
                    }
                    Err(refusal) if refusal.fault == Fault::ToolExit => {
                        // Worth more than that a client is missing.
                        refused = Some(refusal);
                    }
                    Err(refusal) => return Err(refusal),
                }
            }
        }
        Err(refused.unwrap_or_else(|| Refusal::tool("no way in was found")))
    }

    /// What it answers to one or more statements; without headings, fields parted by tabs.
    pub(super) fn ask(
        &self,
        statements: &str,
        at: &At,
        container: &Container,
        cancel: &Cancel,
    ) -> Result<String, Refusal> {
        let said = self.sql(statements).ask(at, container, cancel)?;
        String::from_utf8(said).map_err(|_| Refusal::tool("its answer is not UTF-8"))
    }

    pub(super) fn sql(&self, statements: &str) -> Tool {
        let execute = format!("--execute={statements}");
        let arguments = [
            "--batch",
            "--raw",
            "--skip-column-names",
            "--unbuffered",
            "--connect-timeout=20",
            &execute,
        ];
        self.tool(self.client, &arguments)
    }

    /// A program that logs in by itself.
    pub(super) fn tool(&self, program: &str, arguments: &[&str]) -> Tool {
        let (user, host) = (
            format!("--user={}", self.user),
            format!("--host={}", self.host),
        );
        let mut argv = vec![program, "--default-character-set=utf8mb4", &user, &host];
        argv.extend(arguments);
        let mut command = Command::new(argv);
        if let Some(password) = &self.password {
            command = command.with_env("MYSQL_PWD", password.clone());
        }
        Tool {
            command,
            scrub: Scrub::new(self.password.clone()),
            understand,
        }
    }

    /// Which of the two names the server's image has, and what it can do.
    pub(super) fn dumper(
        &self,
        at: &At,
        container: &Container,
        cancel: &Cancel,
    ) -> Result<Dumper, Refusal> {
        let mut missing = None;
        for name in ["mariadb-dump", "mysqldump"] {
            let help = Tool {
                command: Command::new([name, "--help"]),
                scrub: Scrub::default(),
                understand,
            };
            match help.ask(at, container, cancel) {
                Ok(said) => {
                    let said = String::from_utf8_lossy(&said);
                    return Ok(Dumper {
                        name,
                        of_mysql: said.contains("--set-gtid-purged"),
                        knows_users: said.contains("--system="),
                    });
                }
                Err(refusal) if refusal.fault == Fault::ToolMissing => missing = Some(refusal),
                Err(refusal) => return Err(refusal),
            }
        }
        Err(missing.unwrap_or_else(|| Refusal::tool("no dump program was looked for")))
    }

    pub(super) fn sees_users(&self) -> bool {
        !self.limited
    }
}

fn credentials(
    at: &At,
    container: &Container,
    server: &Server,
    cancel: &Cancel,
) -> Result<Vec<Login>, Refusal> {
    let of_env = |names: &[&str]| secret::first_of(at, container, names, cancel);
    let who = |user: String, password: Option<Secret>, limited: bool| Login {
        user,
        password,
        host: HOSTS[0],
        client: CLIENTS[0],
        limited,
    };
    let settings = &server.settings;
    let file = settings.password_file.as_deref();
    let given = file
        .map(|path| secret::in_file(at, container, path, cancel))
        .transpose()?;
    let root = of_env(&["MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD"])?;
    let app = of_env(&["MARIADB_USER", "MYSQL_USER"])?.map(|user| user.reveal().clone());
    let app_password = || of_env(&["MARIADB_PASSWORD", "MYSQL_PASSWORD"]);

    if let Some(user) = &settings.user {
        let password = match given {
            Some(given) => Some(given),
            None if app.as_ref() == Some(user) => app_password()?,
            None => root,
        };
        return Ok(vec![who(user.clone(), password, false)]);
    }
    let superuser = of_env(&["MARIADB_ROOT_USER", "MYSQL_ROOT_USER"])?
        .map_or_else(|| "root".to_owned(), |user| user.reveal().clone());
    // A password that is known and wrong is to be corrected: falling back would lose databases.
    if let Some(password) = given.or(root) {
        return Ok(vec![who(superuser, Some(password), false)]);
    }
    let mut all = vec![who(superuser, None, false)];
    if let Some(user) = app {
        all.push(who(user, app_password()?, true));
    }
    Ok(all)
}
