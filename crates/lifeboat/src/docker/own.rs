//! Who am I? The container that this program runs in, its project, its image, and what is mounted into it.

use super::{Container, DockerError, Engine, Mount, PROJECT, SERVICE, Trouble};
use std::{fs, io};

/// The sidecar's own container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    pub id: String,
    /// `None` for one that was started without Compose.
    pub project: Option<String>,
    pub service: Option<String>,
    /// As its starter wrote it, and the id by which helpers of the same program are made.
    pub image: String,
    pub image_id: String,
    pub mounts: Vec<Mount>,
}

impl Own {
    fn of(container: Container) -> Self {
        Own {
            project: container.label(PROJECT).map(str::to_owned),
            service: container.label(SERVICE).map(str::to_owned),
            id: container.id,
            image: container.image,
            image_id: container.image_id,
            mounts: container.mounts,
        }
    }
}

/// Ids that may be ours, the surest first; none where this is no container.
pub fn candidates() -> Vec<String> {
    let read = |path: &str| match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let missing = error.kind() == io::ErrorKind::NotFound;
            tracing::debug!(path, %error, missing, "who this is was asked in vain");
            String::new()
        }
    };
    let hostname = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    candidates_in(
        &read("/proc/self/mountinfo"),
        &read("/proc/self/cgroup"),
        &hostname,
    )
}

/// The engine's answer for the first candidate that it knows. `None`: it knows none of them, so this is a
/// container of another engine, or none.
pub fn inspect(engine: &Engine, candidates: &[String]) -> Result<Option<Own>, DockerError> {
    for id in candidates {
        match engine.container(id) {
            Ok(container) => return Ok(Some(Own::of(container))),
            Err(error) if error.trouble == Trouble::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn candidates_in(mountinfo: &str, cgroup: &str, hostname: &str) -> Vec<String> {
    let mounted = mountinfo.lines().filter_map(of_mount);
    let grouped = cgroup.lines().filter_map(of_group);
    // Docker names a host after its container, unless somebody names it otherwise.
    let named = (hostname.len() == 12 && is_hex(hostname)).then(|| hostname.to_owned());
    let mut found: Vec<String> = Vec::new();
    for id in mounted.chain(grouped).chain(named) {
        if !found.iter().any(|earlier| earlier.starts_with(&id)) {
            found.push(id);
        }
    }
    found
}

/// The engine keeps three files for every container and mounts them into it. A line has the root of the
/// mount as its fourth word and its place as its fifth.
fn of_mount(line: &str) -> Option<String> {
    let mut words = line.split(' ').skip(3);
    let (root, place) = (words.next()?, words.next()?);
    let ours = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
    if !ours.contains(&place) {
        return None;
    }
    root.rsplit('/').find(|part| is_id(part)).map(str::to_owned)
}

/// `12:cpu:/docker/<id>`, `0::/system.slice/docker-<id>.scope`.
fn of_group(line: &str) -> Option<String> {
    let path = line.splitn(3, ':').nth(2)?;
    let last = path.rsplit('/').next()?;
    let last = last.strip_suffix(".scope").unwrap_or(last);
    let last = last.rsplit('-').next()?;
    is_id(last).then(|| last.to_owned())
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaa456789012345678901234567890123456789012345678901234567890123";
    const B: &str = "bbbb456789012345678901234567890123456789012345678901234567890123";

    #[test]
    fn the_mount_table_names_the_container_whatever_its_network_and_host_name() {
        let mountinfo = format!(
            "600 500 0:50 / / rw - overlay overlay rw\n\
             610 600 8:1 /var/lib/docker/volumes/{B}/_data /data/x ro - ext4 /dev/sda1 rw\n\
             611 600 8:1 /var/lib/docker/containers/{A}/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n\
             612 600 8:1 /var/lib/docker/containers/{A}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
        );
        assert_eq!(candidates_in(&mountinfo, "0::/\n", "backup"), [A]);
    }

    #[test]
    fn podman_keeps_the_files_elsewhere() {
        let mountinfo = format!(
            "1 2 0:1 /containers/overlay-containers/{A}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw\n"
        );
        assert_eq!(candidates_in(&mountinfo, "", ""), [A]);
    }

    #[test]
    fn the_control_group_and_the_host_name_are_asked_after_it() {
        let v1 = format!("12:cpu:/docker/{A}\n1:name=systemd:/docker/{A}\n");
        assert_eq!(candidates_in("", &v1, "web"), [A]);
        let v2 = format!("0::/system.slice/docker-{A}.scope\n");
        assert_eq!(candidates_in("", &v2, &B[..12]), [A, &B[..12]]);
        // The same one again.
        assert_eq!(candidates_in("", &v2, &A[..12]), [A]);
    }

    #[test]
    fn a_bare_host_is_no_container() {
        let mountinfo =
            "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:5 / /proc rw - proc proc rw\n";
        let cgroup = "0::/user.slice/user-1000.slice/session-2.scope\n";
        assert!(candidates_in(mountinfo, cgroup, "backup").is_empty());
    }
}
