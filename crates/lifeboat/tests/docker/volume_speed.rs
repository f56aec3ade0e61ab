//! How long a volume takes that is not mounted here: as long as it takes to read, or longer?

use crate::{
    project::docker,
    volume::{scene, seal_with},
};
use lifeboat::docker::volume::{Helpers, How, What};
use lifeboat_plan::Compression;
use lifeboat_run::{
    Cancel,
    source::{Folder, Options, Source},
};
use std::{fs, path::Path, process::Command, time::Instant};

const MIB: u64 = 768;

/// Libraries and programs, which compress as most things do; or noise, which does not.
fn fill(folder: &Path, what: &str) {
    match what {
        // What the container itself takes.
        "nothing" => fs::write(folder.join("nothing"), "").unwrap(),
        "noise" => {
            let noise = lifeboat_testkit::suite::noise(1 << 24, 7);
            for n in 0..MIB / 16 {
                fs::write(folder.join(n.to_string()), &noise).unwrap();
            }
        }
        _ => {
            let line = format!(
                "find /usr/lib /usr/share /usr/bin -type f -size -20M -print0 | sort -z | tar -C / --null -T - -c 2>/dev/null | head -c {MIB}M > $1/all.tar;
                 cd $1 && split -b 3M all.tar part. && rm all.tar"
            );
            let made = Command::new("sh")
                .args(["-c", &line, "sh"])
                .arg(folder)
                .status();
            assert!(made.unwrap().success());
        }
    }
}

#[test]
#[ignore = "takes a minute, and says little on a busy machine"]
fn slow_a_volume_is_read_as_fast_as_it_can_be() {
    let Some(scene) = scene() else { return };
    for what in ["files", "noise", "nothing"] {
        let (volume, path) = scene.volume(what);
        fill(&path, what);
        let direct = Folder::new("data", &path, Options::default()).unwrap();
        let helper = scene.source(&volume);
        let attached = Helpers {
            exchange: None,
            ..scene.helpers()
        };
        let attached = attached.source("data", What::Volume(volume.clone()), How::default());
        let mount = format!("{volume}:/v:ro");
        let read = || {
            let image = crate::project::BUSYBOX;
            let line = "t=$(cut -d' ' -f1 /proc/uptime); cat /v/* | cat >/dev/null; \
                        echo $t $(cut -d' ' -f1 /proc/uptime)";
            let run = [
                "run",
                "--rm",
                "--label",
                "lifeboat.test=1",
                "-v",
                &mount,
                image,
                "sh",
                "-c",
                line,
            ];
            let told = docker(&run);
            let times: Vec<f64> = told.split(' ').map(|t| t.parse().unwrap()).collect();
            times[1] - times[0]
        };
        let seal = |source: &dyn Source, compression: Compression| {
            let begun = Instant::now();
            seal_with(
                compression,
                source,
                Path::new("/dev/null"),
                &Cancel::default(),
                || (),
            )
            .unwrap();
            begun.elapsed().as_secs_f64()
        };
        let speed = |way: &str, seconds: f64| {
            let megabytes = (MIB << 20) as f64 / 1e6;
            let each = match what {
                "nothing" => String::new(),
                _ => format!(", {:.0} MB/s", megabytes / seconds),
            };
            println!("SPEED {what} {way}: {seconds:.2} s{each}");
        };
        for _ in 0..3 {
            speed("read inside a container", read());
            for compression in [Compression::None, Compression::Zstd] {
                speed(
                    &format!("mounted, {compression}"),
                    seal(&direct, compression),
                );
                speed(
                    &format!("by a helper through the engine, {compression}"),
                    seal(&attached, compression),
                );
                speed(
                    &format!("by a helper, {compression}"),
                    seal(&helper, compression),
                );
            }
        }
    }
}
