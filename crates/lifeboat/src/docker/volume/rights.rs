//! What a helper may: read one folder, or replace what is in it, and nothing else. `docs/security.md` says
//! why.

use super::{
    Begin, Duty, FILLS, HELPER, Helpers, How, What,
    exchange::{Door, FOLDER},
};
use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType,
    MountVolumeOptions, RestartPolicy, RestartPolicyNameEnum,
};
use lifeboat_run::source::OnChanged;
use std::collections::HashMap;

const SOURCE: &str = "/source";
/// Where what is replaced is seen.
pub(super) const TARGET: &str = "/target";
/// A volume without a name, which goes with the container: a copy of a database may be larger than memory.
const SCRATCH: &str = "/scratch";

/// The program itself takes 64 MiB; what it reads passes through the cache, which counts too.
const MEMORY_MAX: i64 = 256 << 20;
/// A thread for every core, and a few more.
const PIDS_MAX: i64 = 512;

/// Files of all owners are read; none can be written, and nobody's rights can be taken.
const READS: &[&str] = &["DAC_READ_SEARCH"];
/// Files are made, moved and removed in folders of all owners, and given their owners, modes, bits and
/// capabilities. No devices are made, and nothing is opened by its handle.
const WRITES: &[&str] = &["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETFCAP"];

/// On a volume that did not exist before a helper was to have it: by which one it came into being.
pub(super) const BORN: &str = "lifeboat.born";

pub(super) fn body(
    helpers: &Helpers,
    what: &What,
    duty: &Duty,
    door: Option<&Door>,
    begin: Begin,
    mark: &str,
) -> ContainerCreateBody {
    let (mut mounts, cmd, rights) = match duty {
        Duty::Pour(how) => {
            let mounts = vec![mount(what, SOURCE, true, mark), scratch()];
            (mounts, arguments(how, door, begin), READS)
        }
        Duty::Look => (
            vec![mount(what, TARGET, true, mark)],
            words(&["fill", "look", TARGET]),
            READS,
        ),
        Duty::Fill { words, .. } => {
            let mut words = words.clone();
            words.extend(door.map(|_| format!("--socket={}", Door::there())));
            (vec![mount(what, TARGET, false, mark)], words, WRITES)
        }
    };
    mounts.extend(door.map(exchange));
    let mut labels = HashMap::from([(HELPER.to_owned(), helpers.owner.clone())]);
    if matches!(duty, Duty::Fill { .. }) {
        labels.insert(FILLS.to_owned(), what.to_string());
    }
    let is_fed = duty.is_fed().then_some(true);
    ContainerCreateBody {
        image: Some(helpers.image.clone()),
        entrypoint: Some(vec![helpers.program.clone()]),
        cmd: Some(cmd),
        labels: Some(labels),
        // Whatever the image says of itself is meant for the sidecar.
        user: Some("0:0".to_owned()),
        working_dir: Some("/".to_owned()),
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..Default::default()
        }),
        attach_stdin: is_fed,
        open_stdin: is_fed,
        stdin_once: is_fed,
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(HostConfig {
            mounts: Some(mounts),
            network_mode: Some("none".to_owned()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(words(rights)),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            readonly_rootfs: Some(true),
            memory: Some(MEMORY_MAX),
            memory_swap: Some(MEMORY_MAX),
            pids_limit: Some(PIDS_MAX),
            // Gigabytes that nobody reads again.
            log_config: Some(HostConfigLogConfig {
                typ: Some("none".to_owned()),
                config: None,
            }),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            // Its exit code is asked for before it goes.
            auto_remove: Some(false),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn mount(what: &What, target: &str, read_only: bool, mark: &str) -> Mount {
    let (typ, source) = match what {
        What::Volume(name) => (MountType::VOLUME, name),
        What::Folder(path) => (MountType::BIND, path),
    };
    Mount {
        typ: Some(typ),
        source: Some(source.clone()),
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        // An empty volume stays empty, whatever the image has at that place.
        volume_options: (typ == MountType::VOLUME).then(|| MountVolumeOptions {
            no_copy: Some(true),
            // Of one that is there the engine changes nothing.
            labels: Some(HashMap::from([(BORN.to_owned(), mark.to_owned())])),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn scratch() -> Mount {
    Mount {
        typ: Some(MountType::VOLUME),
        target: Some(SCRATCH.to_owned()),
        ..Default::default()
    }
}

/// Whoever may only read a socket's folder can still connect to it.
fn exchange(door: &Door) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(door.on_host.display().to_string()),
        target: Some(FOLDER.to_owned()),
        read_only: Some(true),
        ..Default::default()
    }
}

fn arguments(how: &How, door: Option<&Door>, begin: Begin) -> Vec<String> {
    let on_changed = match how.on_changed {
        OnChanged::Warn => "warn",
        OnChanged::Fail => "fail",
    };
    let mut words = vec![
        "pour".to_owned(),
        format!("--scratch={SCRATCH}"),
        format!("--on-changed={on_changed}"),
    ];
    words.extend(door.map(|_| format!("--socket={}", Door::there())));
    words.extend((begin == Begin::AtAWord && door.is_some()).then(|| "--wait".to_owned()));
    words.extend(how.entries_before.map(|n| format!("--entries-before={n}")));
    words.extend(how.exclude.iter().map(|one| format!("--exclude={one}")));
    words.push(SOURCE.to_owned());
    words
}
