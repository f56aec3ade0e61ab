//! As whom, and which way, a server lets us in: the socket first, without anything to prove in the official
//! image; then as the system's own user `postgres`; then over the loopback with the password.

use super::{
    At, Command, Container, LOOK, Looked, OS_USER, Refusal, Scrub, Server, Tool, conninfo,
    understand,
};
use crate::docker::dumps::secret;
use lifeboat_run::{Cancel, Secret, source::Fault};

#[derive(Debug, Clone)]
pub(super) struct Login {
    user: String,
    password: Option<Secret>,
    host: Option<&'static str>,
    os_user: Option<&'static str>,
    database: String,
}

impl Login {
    /// The first way in that works, and what is seen there.
    pub(super) fn find(
        at: &At,
        container: &Container,
        server: &Server,
        cancel: &Cancel,
    ) -> Result<(Self, Looked), Refusal> {
        let (user, password) = credentials(at, container, server, cancel)?;
        let ways = [
            (None, None),
            (None, Some(OS_USER)),
            (Some("127.0.0.1"), None),
        ];
        let mut refused: Option<Refusal> = None;
        for (host, os_user) in ways {
            let way = Login {
                user: user.clone(),
                password: password.clone(),
                host,
                os_user,
                database: String::new(),
            };
            match way.look(at, container, cancel) {
                Ok(found) => return Ok(found),
                // Another way with the same password would only be one more wrong attempt.
                Err(refusal) if refusal.detail.contains("password authentication failed") => {
                    return Err(refusal);
                }
                Err(refusal) => match refusal.fault {
                    Fault::Auth | Fault::ToolExit => {
                        refused.get_or_insert(refusal);
                    }
                    // There is no such system user in this container.
                    Fault::ToolMissing if os_user.is_some() => {}
                    _ => return Err(refusal),
                },
            }
        }
        Err(refused.unwrap_or_else(|| Refusal::tool("no way in was found")))
    }

    /// Any database will do, to see the others from.
    fn look(
        mut self,
        at: &At,
        container: &Container,
        cancel: &Cancel,
    ) -> Result<(Self, Looked), Refusal> {
        let of_env = container
            .env("POSTGRES_DB")
            .map(|name| name.reveal().clone());
        let mut refused = None;
        for database in ["postgres".to_owned()]
            .into_iter()
            .chain(of_env)
            .chain(["template1".to_owned()])
        {
            self.database = database;
            match self.psql(&[LOOK]).ask(at, container, cancel) {
                Ok(said) => {
                    let looked = Looked::parse(&said).ok_or_else(|| {
                        let said = String::from_utf8_lossy(&said).replace('\0', " ");
                        Refusal::tool(format!("psql gave no sense: {:.200}", said.trim()))
                    })?;
                    return Ok((self, looked));
                }
                Err(refusal) if refusal.fault == Fault::NoDb => {
                    refused.get_or_insert(refusal);
                }
                Err(refusal) => return Err(refusal),
            }
        }
        Err(refused.unwrap_or_else(|| Refusal::tool("it has no database to log in to")))
    }

    /// A program that logs in by itself.
    pub(super) fn tool<S: Into<String>>(&self, argv: impl IntoIterator<Item = S>) -> Tool {
        let plain = |value: &str| Secret::new(value.to_owned());
        let mut command = Command::new(argv)
            .with_env("PGUSER", plain(&self.user))
            // Set for something else in this container, it would lead to another server.
            .with_env("PGHOST", plain(self.host.unwrap_or_default()))
            .with_env("PGHOSTADDR", plain(""))
            .with_env("PGCLIENTENCODING", plain("UTF8"))
            .with_env("PGCONNECT_TIMEOUT", plain("20"))
            .with_env("LC_ALL", plain("C"));
        if let Some(password) = &self.password {
            command = command.with_env("PGPASSWORD", password.clone());
        }
        command.user = self.os_user.map(str::to_owned);
        Tool {
            command,
            scrub: Scrub::new(self.password.clone()),
            understand,
        }
    }

    pub(super) fn psql(&self, statements: &[&str]) -> Tool {
        let dbname = format!("--dbname={}", conninfo(&self.database));
        let argv = ["psql", "-X", "-w", "-q", "-A", "-t", "-z", "-0"];
        let mut argv: Vec<&str> = argv.to_vec();
        argv.extend(["-v", "ON_ERROR_STOP=1", &dbname]);
        argv.extend(statements.iter().flat_map(|statement| ["-c", statement]));
        self.tool(argv)
    }

    /// The same, for another database.
    pub(super) fn to(&self, database: &str) -> Self {
        Login {
            database: database.to_owned(),
            ..self.clone()
        }
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn database(&self) -> &str {
        &self.database
    }
}

/// The superuser that the image made, unless a label names another user.
fn credentials(
    at: &At,
    container: &Container,
    server: &Server,
    cancel: &Cancel,
) -> Result<(String, Option<Secret>), Refusal> {
    const PASSWORDS: [&str; 3] = ["POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD", "PGPASSWORD"];
    const USERS: [&str; 3] = ["POSTGRES_USER", "POSTGRESQL_USERNAME", "PGUSER"];
    // Images that make an ordinary user have a password of its own for the superuser.
    let superuser = ["POSTGRESQL_POSTGRES_PASSWORD", "POSTGRES_POSTGRES_PASSWORD"];
    let settings = &server.settings;
    let of_env = |names: &[&str]| secret::first_of(at, container, names, cancel);

    let file = settings.password_file.as_deref();
    let given = file
        .map(|path| secret::in_file(at, container, path, cancel))
        .transpose()?;
    if let Some(user) = &settings.user {
        let password = match given {
            None => of_env(&PASSWORDS)?,
            given => given,
        };
        return Ok((user.clone(), password));
    }
    if given.is_none()
        && let Some(password) = of_env(&superuser)?
    {
        return Ok(("postgres".to_owned(), Some(password)));
    }
    let user = of_env(&USERS)?.map_or_else(|| "postgres".to_owned(), |user| user.reveal().clone());
    let password = match given {
        None => of_env(&PASSWORDS)?,
        given => given,
    };
    Ok((user, password))
}
