//! Users and grants as the server itself shows them: MySQL's dump program knows none.

use super::{At, Login, Refusal, unhex};
use crate::docker::Container;
use lifeboat_run::{
    Cancel,
    source::{Ended, Program, Running, SourceError},
};

#[derive(Debug)]
pub(super) struct ShownUsers {
    pub what: String,
    pub at: At,
    pub login: Login,
    pub mariadb: bool,
}

/// The servers' own, which every new one has.
const LIST: &str = "SELECT HEX(user), HEX(host) FROM mysql.user \
    WHERE user NOT IN ('mysql.sys', 'mysql.session', 'mysql.infoschema', 'mariadb.sys') ORDER BY 1, 2";

/// One argument of a command line has room for about a thousand.
const USERS_AT_ONCE: usize = 100;

impl ShownUsers {
    fn text(&self, container: &Container, cancel: &Cancel) -> Result<String, Refusal> {
        let listed = self.login.ask(LIST, &self.at, container, cancel)?;
        let users: Vec<String> = listed.lines().map(quoted).collect::<Result<_, _>>()?;
        if users.is_empty() {
            return Err(Refusal::tool("mysql.user holds no user"));
        }
        let mut shown = Shown::default();
        for users in users.chunks(USERS_AT_ONCE) {
            for show in ["SHOW CREATE USER", "SHOW GRANTS FOR"] {
                let each = users.iter().map(|user| format!("{show} {user}"));
                let mut statements: Vec<String> = each.collect();
                if !self.mariadb {
                    // A hash may hold any byte.
                    statements.insert(0, "SET print_identified_with_as_hex = ON".to_owned());
                }
                let said = self
                    .login
                    .ask(&statements.join("; "), &self.at, container, cancel)?;
                said.lines().for_each(|line| shown.take(line));
            }
        }
        if shown.users.len() != users.len() {
            return Err(Refusal::tool("not every user was shown"));
        }
        Ok(shown.text())
    }
}

/// `` `user`@`host` ``
fn quoted(line: &str) -> Result<String, Refusal> {
    let word = |digits: &str| {
        let name = unhex(digits).and_then(|name| String::from_utf8(name).ok());
        let name = name.filter(|name| !name.contains(['\n', '\r', '\0']));
        name.map(|name| format!("`{}`", name.replace('`', "``")))
    };
    line.split_once('\t')
        .and_then(|(user, host)| Some(format!("{}@{}", word(user)?, word(host)?)))
        .ok_or_else(|| Refusal::tool("a user's name cannot be written down"))
}

/// In the order in which they can be run: a grant needs its user, a default role needs its grant.
#[derive(Debug, Default)]
struct Shown {
    users: Vec<String>,
    grants: Vec<String>,
    roles: Vec<String>,
}

impl Shown {
    fn take(&mut self, line: &str) {
        const ROLE: &str = " DEFAULT ROLE ";
        const AFTER: &str = " REQUIRE ";

        let Some(user) = line.strip_prefix("CREATE USER ") else {
            self.grants.push(line.to_owned());
            return;
        };
        let mut user = user.to_owned();
        if let Some(at) = user.find(ROLE)
            && let Some(end) = user[at..].find(AFTER)
        {
            let role: String = user.drain(at..at + end).collect();
            let name = user.split(" IDENTIFIED ").next().unwrap_or(&user);
            self.roles.push(format!("ALTER USER {name}{role}"));
        }
        self.users.push(format!("CREATE USER IF NOT EXISTS {user}"));
    }

    fn text(&self) -> String {
        let mut text = "-- Users and grants, as the server shows them\n\n".to_owned();
        for statement in self.users.iter().chain(&self.grants).chain(&self.roles) {
            text.push_str(statement);
            text.push_str(";\n");
        }
        text + "\n-- Dump completed\n"
    }
}

impl Program for ShownUsers {
    fn what(&self) -> String {
        self.what.clone()
    }

    fn start(&self, cancel: &Cancel) -> Result<Box<dyn Running>, SourceError> {
        cancel.check()?;
        let container = self
            .at
            .container()
            .map_err(|refusal| refusal.of(&self.what))?;
        let text = self.text(&container, cancel);
        cancel.check()?;
        let text = text.map_err(|refusal| refusal.of(&self.what))?;
        Ok(Box::new(Ready(text.into_bytes())))
    }
}

/// All of it is there already.
struct Ready(Vec<u8>);

impl Running for Ready {
    fn read(&mut self, out: &mut Vec<u8>, limit: usize, _: &Cancel) -> Result<bool, SourceError> {
        out.extend(self.0.drain(..limit.min(self.0.len())));
        Ok(!self.0.is_empty())
    }

    fn finish(self: Box<Self>) -> Result<Ended, SourceError> {
        Ok(Ended::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_put_in_the_order_in_which_it_can_be_run() {
        let mut shown = Shown::default();
        for line in [
            "CREATE USER `a`@`%` IDENTIFIED WITH 'x' AS 0x24 DEFAULT ROLE `r`@`%` REQUIRE NONE ACCOUNT UNLOCK",
            "GRANT `r`@`%` TO `a`@`%`",
            "CREATE USER `r`@`%` IDENTIFIED WITH 'x' REQUIRE NONE ACCOUNT LOCK",
        ] {
            shown.take(line);
        }
        let text = shown.text();
        let order = [
            "CREATE USER IF NOT EXISTS `a`@`%` IDENTIFIED WITH 'x' AS 0x24 REQUIRE NONE ACCOUNT UNLOCK;\n",
            "CREATE USER IF NOT EXISTS `r`@`%`",
            "GRANT `r`@`%` TO `a`@`%`;\n",
            "ALTER USER `a`@`%` DEFAULT ROLE `r`@`%`;\n",
            "-- Dump completed\n",
        ];
        let places = order.map(|part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}")));
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn a_name_that_would_end_its_line_is_refused() {
        assert_eq!(quoted("6160\t25").unwrap(), "`a```@`%`");
        assert!(quoted("610A\t25").is_err());
        assert!(quoted("61").is_err());
    }
}
