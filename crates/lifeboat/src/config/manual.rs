//! Writes `.env.example` and `docs/configuration.md` from the register, so that neither can say
//! anything that the program does not do.

use super::{
    register::{GROUPS, LATER},
    settings::{Default, Group, Kind, Setting, env_name},
};
use std::fmt::Write;

const WIDTH: usize = 88;

/// `.env.example`: everything commented out, so that a copy of it changes nothing.
pub fn env_example() -> String {
    let mut out = String::from(
        "# Lifeboat: every setting with its default, or with an example where it has none. Copy this\n\
         # file to .env and change what you need; a line that stays commented out changes nothing.\n\
         # Each X can also be read from a file: X_FILE=/run/secrets/x. Do that for every secret.\n\
         # `docker compose run --rm backup plan` shows what takes effect.\n",
    );
    for group in GROUPS {
        out += &format!("\n\n## {}\n", group.title);
        for setting in group.settings {
            out += "\n";
            let mut about = sentence(setting);
            if let Default::Follows(words) = setting.default {
                about += &format!(" Default: {words}.");
            }
            for line in wrapped(&plain(&about), WIDTH - 2) {
                out += &format!("# {line}\n");
            }
            let (name, value) = match (setting.default, setting.key) {
                (_, "include_<name>") => ("BACKUP_INCLUDE_LOGS".to_owned(), setting.example),
                (Default::Is(value), _) => (setting.env_name(), value),
                (_, _) if setting.secret => {
                    (format!("{}_FILE", setting.env_name()), "/run/secrets/…")
                }
                (_, _) => (setting.env_name(), setting.example),
            };
            out += &format!("#{name}={value}\n");
        }
    }
    out
}

/// `docs/configuration.md`.
pub fn configuration_md() -> String {
    let mut out = String::from(INTRODUCTION);
    for group in GROUPS {
        out += &section(group);
    }
    out += LABELS;
    out += JOBS;
    out += NOT_YET;
    let names: Vec<String> = LATER
        .iter()
        .map(|key| format!("`{}`", env_name(key)))
        .collect();
    for line in wrapped(&names.join(", "), 100) {
        let _ = writeln!(out, "{line}");
    }
    out
}

const INTRODUCTION: &str = "\
<!-- Written from crates/lifeboat/src/config/register/. After a change there:
     LIFEBOAT_BLESS=1 cargo test -p lifeboat --test config_manual -->
# Configuration

Everything has a default: with a volume mounted below `/data` and one at `/backups`, Lifeboat
works. `lifeboat plan` shows every setting that takes effect and where it comes from, secrets masked.

- **Environment.** Names begin with `BACKUP_`. An empty value counts as not set, so `${VARIABLE:-}` in a
  Compose file is fine; an empty secret is a mistake.
- **Files for secrets.** `X_FILE` reads `X` from a file: `BACKUP_ENCRYPTION_KEY_FILE=/run/secrets/key`. A line
  end at the end of the file does not count. Setting both `X` and `X_FILE` is a mistake.
- **A configuration file** may hold the same settings: `/etc/lifeboat/lifeboat.toml`, or the one that
  `--config` names. Names are in lower case and without `BACKUP_`: `retention_days = 14`. The environment
  goes before the file.
- **Mistakes** are reported all at once, and nothing starts until they are gone (exit code 2). A name that
  does not exist is a mistake too:

```text
lifeboat: 2 mistakes in the configuration; nothing was done

BACKUP_RETENTION_DAY (environment): there is no such setting
hint: did you mean BACKUP_RETENTION_DAYS?

BACKUP_KEEP_MIN=\"0\" (environment): is out of range
hint: write a number from 1 to 100000, for example 3
```
";

const LABELS: &str = "
## Labels on a service

What cannot be seen from outside is said on the service itself. No label is needed for a database server or a
volume to be saved. A label that is not understood makes the sources of its service fail, with a guess at what
was meant: nothing is saved in another way than its owner asked for.

| Label | Meaning |
|---|---|
| `lifeboat.enable` | `false` leaves the service out, with the volumes that nobody else uses |
| `lifeboat.kind` | What it is, whatever it looks like: `postgres`, `mysql`, `mariadb`, `mongodb`, `redis`; `files` or `sqlite`: no server; `command`: its `lifeboat.command` stands for the dump |
| `lifeboat.databases` | Only these databases of the server, with commas |
| `lifeboat.user`, `lifeboat.password-file` | Who dumps; the path of a file in the service's container. A label is no place for a password |
| `lifeboat.exclude` | Of a server: databases to leave out. Of any other service: patterns for the files of its volumes, as in a `.gitignore`, or a volume's name |
| `lifeboat.hold` | While its volumes are read: `none`, `pause`, `stop` |
| `lifeboat.pre`, `lifeboat.post` | A line of shell in the container, before and after |
| `lifeboat.command`, `lifeboat.extension` | A line of shell whose output is a source, and how its file ends (`out`) |
| `lifeboat.schedule` | One more job, named after the service, of this service's sources alone; the other jobs keep them too. Its backups are named `NAME-SERVICE` |
| `lifeboat.restore-command` | A line of shell that takes such output back |
| `lifeboat.drill` | `data`, or `boot`: the service itself is started in a drill |

```yaml
services:
  db:
    image: postgres:17
    labels:
      lifeboat.exclude: scratch
      lifeboat.schedule: \"@hourly\"
```
";

const JOBS: &str = "
## Several jobs

The configuration file may hold several jobs, each with its own schedule, sources and rules for what
stays. What a job does not say for itself holds as it is set for the whole program; what it does say
goes before the environment. The backups of a job are named `NAME-JOB`.

```toml
name = \"shop\"

[[job]]
name = \"uploads\"
schedule = \"0 * * * *\"
sources = [\"uploads\"]
max_count = 48
retention_days = 3

[[job]]
name = \"rest\"
exclude = [\"uploads\"]
```
";

const NOT_YET: &str = "
## Not yet

These names belong to the full program. This version knows them and can do nothing with them, so it
refuses to start while one of them is set.

";

fn section(group: &Group) -> String {
    let mut out = format!("\n## {}\n\n", group.title);
    for line in wrapped(group.prose, 100) {
        let _ = writeln!(out, "{line}");
    }
    out += "\n| Variable | Default | Meaning |\n|---|---|---|\n";
    for setting in group.settings {
        let default = match setting.default {
            Default::Is(value) => format!("`{value}`"),
            Default::Follows(words) => words.to_owned(),
            Default::Unset => String::new(),
        };
        let name = setting.env_name();
        let _ = writeln!(out, "| `{name}` | {default} | {} |", sentence(setting));
    }
    out
}

/// What it does, and what it takes where that does not speak for itself.
fn sentence(setting: &Setting) -> String {
    let takes = match setting.kind {
        Kind::OneOf(words) => format!(" One of `{}`.", words.join("`, `")),
        Kind::List => " A list, with commas.".to_owned(),
        Kind::Flag | Kind::Text | Kind::Number { .. } => String::new(),
    };
    let secret = if setting.secret { " Secret." } else { "" };
    format!("{}{takes}{secret}", setting.doc)
}

fn plain(markdown: &str) -> String {
    markdown.replace('`', "")
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a last line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
