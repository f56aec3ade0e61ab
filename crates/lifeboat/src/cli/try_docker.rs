//! `lifeboat doctor` and the engine: every call is tried, every server is asked, and a proxy that swallows
//! what is sent to a program is found before a restore needs it.

use super::finding::Findings;
use crate::{
    config::Config,
    docker::{
        Command, DockerError, Engine, ExecError, Trouble, Verdict,
        cover::{CommandSource, Server},
        dumps,
    },
    sources::{Discovery, Found, Seen, helpers, jobs_of_labels},
};
use lifeboat_run::{Cancel, source::Sizes};
use ring::rand::{SecureRandom, SystemRandom};
use std::time::Duration;

pub fn try_docker(config: &Config, seen: &Seen, findings: &mut Findings) {
    let found = match &seen.discovery {
        Discovery::Found(found) => found,
        Discovery::Lost(error) => {
            return findings.urgent(
                format!("what the engine runs is not saved: {error}"),
                error.hint(),
            );
        }
        Discovery::Off { why, .. } => {
            return findings.ok(format!("nothing is discovered: {why}"));
        }
    };
    findings.ok(format!(
        "the engine at {} answers; {} of project {} can be seen",
        found.engine.place(),
        super::words::many(found.seen.services.len() as u64, "service", "services"),
        found.seen.project.as_deref().unwrap_or("none"),
    ));
    let (_, strange) = jobs_of_labels(config, found);
    for remark in found.remarks().into_iter().chain(strange) {
        findings.warning(remark.what, remark.hint);
    }
    for failing in &found.coverage.failing {
        findings.urgent(
            format!(
                "source {} cannot be saved: {}",
                failing.source, failing.reason
            ),
            &failing.hint,
        );
    }
    for server in &found.coverage.servers {
        try_server(found, server, findings);
    }
    for command in &found.coverage.commands {
        try_command(found, command, findings);
    }
    try_volumes(config, found, findings);
    try_input(found, findings);
}

/// Its login, its tools, its databases: all that is asked before a dump begins.
fn try_server(found: &Found, server: &Server, findings: &mut Findings) {
    let cancel = Cancel::default();
    let how = dumps::How {
        owner: "",
        patience: dumps::PATIENCE,
        count_rows: Duration::ZERO,
        before: &|_, _| Sizes::default(),
        accept_smaller: &|_| false,
        cancel: &cancel,
    };
    for checked in dumps::check(&found.engine, server, &how) {
        match checked.is_good() {
            true => findings.ok(checked.what),
            false => findings.urgent(checked.what, checked.hint),
        }
    }
}

fn try_command(found: &Found, command: &CommandSource, findings: &mut Findings) {
    match found.engine.running(&command.address) {
        Ok(_) => findings.ok(format!(
            "source {}: service {} runs",
            command.source, command.address
        )),
        Err(error) => findings.urgent(
            format!("source {}: {error}", command.source),
            "start the service: the command of its label runs in it",
        ),
    }
}

fn try_volumes(config: &Config, found: &Found, findings: &mut Findings) {
    let volumes = &found.coverage.volumes;
    if volumes.is_empty() {
        return;
    }
    if helpers(config, found, &config.near.dir).is_none() {
        findings.urgent(
            "volumes that are not mounted here are read by a container of this program's own image, and this program runs in none",
            "run it as a service of the project, or mount the volumes below BACKUP_SOURCES_DIR",
        );
    }
    for volume in volumes {
        let Some(name) = &volume.volume else { continue };
        match found.engine.volume(name) {
            Ok(_) => {}
            Err(error) => {
                findings.urgent(format!("source {}: {error}", volume.source), error.hint())
            }
        }
    }
}

/// A few bytes through `cat` and back, in any container that has it.
fn try_input(found: &Found, findings: &mut Findings) {
    let mut nonce = [0; 16];
    if SystemRandom::new().fill(&mut nonce).is_err() {
        return;
    }
    let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
    let servers = found.coverage.servers.iter().map(|server| &server.address);
    let commands = found
        .coverage
        .commands
        .iter()
        .map(|command| &command.address);
    let mut tried = false;
    for address in servers.chain(commands) {
        let Ok(container) = found.engine.running(address) else {
            continue;
        };
        tried = true;
        match echoed(&found.engine, &container.id, &nonce) {
            Ok(true) => {
                return findings
                    .ok("programs in containers can be run, and hear what is sent to them");
            }
            // No such program in that one.
            Ok(false) => {}
            Err(error) => return refused(&error, findings),
        }
    }
    if tried {
        findings.warning(
            "whether programs in containers hear what is sent to them could not be tried: none has `cat`",
            "restoring a database needs it; `lifeboat doctor` tries again whenever it runs",
        );
    }
}

fn refused(error: &ExecError, findings: &mut Findings) {
    match error {
        ExecError::Docker(error) if error.trouble == Trouble::Denied => findings.urgent(error.to_string(), error.hint()),
        error => findings.warning(
            format!("programs in containers do not hear what is sent to them: {error}"),
            "dumps work all the same, restores of databases do not: a proxy in between must pass the upgrade (status 101), as HAProxy from 2.4 on does not",
        ),
    }
}

fn echoed(engine: &Engine, container: &str, nonce: &str) -> Result<bool, ExecError> {
    let cat = Command::new(["cat"]).with_input(nonce.as_bytes());
    let output = engine.run(container, &cat, Duration::from_secs(10), &Cancel::default())?;
    match output.verdict {
        Verdict::Done if output.stdout == nonce.as_bytes() => Ok(true),
        Verdict::Done => Err(ExecError::Corrupt(format!(
            "{} bytes came back of {}",
            output.stdout.len(),
            nonce.len()
        ))),
        Verdict::Exit(_) => Ok(false),
        Verdict::StillRunning | Verdict::Lost => Err(ExecError::Docker(DockerError::new(
            crate::docker::Call::get("/exec"),
            Trouble::Unreachable,
            "the stream ended before the program",
        ))),
    }
}
