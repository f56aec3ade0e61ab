//! Whether a server's login and its dump tools work, tried without dumping anything.

use super::{At, How, Refusal, Server, ask};
use crate::docker::Engine;
use lifeboat_run::source::Fault;

/// One thing that was tried, in at most two lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub what: String,
    /// Empty where all is well.
    pub hint: String,
}

impl Checked {
    pub fn is_good(&self) -> bool {
        self.hint.is_empty()
    }
}

/// For `doctor`. Ends no program of anybody.
pub fn check(engine: &Engine, server: &Server, how: &How<'_>) -> Vec<Checked> {
    let at = At {
        engine: engine.clone(),
        address: server.address.clone(),
        patience: how.patience,
    };
    let how = How { owner: "", ..*how };
    let kind = server.kind.as_str();
    let bad = |name: &str, refusal: Refusal| Checked {
        hint: hint(refusal.fault, server),
        what: refusal.of(name).to_string(),
    };
    let found = match ask(&at, server, &how) {
        Ok(found) => found,
        Err(refusal) => return vec![bad(&format!("{} ({kind})", server.source), refusal)],
    };
    let mut checked = Vec::new();
    let mut good = Vec::new();
    for found in found {
        match (found.what, found.part) {
            (Ok(_), part) if part.is_empty() => good.push("everything in it".to_owned()),
            (Ok(_), part) => good.push(part),
            (Err(refusal), part) => {
                checked.push(bad(&format!("{}.{part}", server.source), refusal))
            }
        }
    }
    let good = match good.is_empty() {
        true => "nothing".to_owned(),
        false => good.join(", "),
    };
    let all = Checked {
        what: format!(
            "{} ({kind}): logs in, the dump tool fits; to be dumped: {good}",
            server.source
        ),
        hint: String::new(),
    };
    checked.insert(0, all);
    checked
}

/// What a person can do about it.
fn hint(fault: Fault, server: &Server) -> String {
    let service = &server.address;
    match fault {
        Fault::Auth => format!(
            "set the labels lifeboat.user and lifeboat.password-file (a path in the container) on service {service}, or correct the password in its environment"
        ),
        Fault::NoDb => format!("correct the label lifeboat.databases of service {service}"),
        Fault::ToolMissing => format!(
            "use an image for {service} that has the server's own client programs, or say with lifeboat.command how it is dumped"
        ),
        Fault::ToolVersion => {
            format!("use an image for {service} whose client programs are as new as its server")
        }
        Fault::DockerDenied => {
            "allow this call in the socket proxy; docs/security.md lists all that are needed"
                .to_owned()
        }
        Fault::DockerLost => "is the engine up? `docker ps` tells".to_owned(),
        Fault::ExecLost => {
            format!("start service {service}: `docker compose ps -a` tells how it is")
        }
        _ => format!("`docker compose logs {service}` may say more"),
    }
}
