//! An image of this very program, as far as a helper needs one.

use crate::project::docker;
use std::{fs, path::Path, process::Command};

/// Gone when the test is over.
pub(crate) struct Image {
    pub(crate) id: String,
}

/// Where the program lies in it.
pub(crate) const PROGRAM: &str = "/lifeboat";
/// And these tests, for what has to run in a container.
pub(crate) const TESTS: &str = "/tests";

impl Image {
    pub(crate) fn of_this_program() -> Self {
        Image::of(&[(PROGRAM, Path::new(env!("CARGO_BIN_EXE_lifeboat")))])
    }

    pub(crate) fn with_these_tests() -> Self {
        Image::of(&[
            (PROGRAM, Path::new(env!("CARGO_BIN_EXE_lifeboat"))),
            (TESTS, &std::env::current_exe().unwrap()),
        ])
    }

    /// With what they are linked with. A check and a volume of its own are what a helper must not inherit.
    fn of(programs: &[(&str, &Path)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let place = |from: &Path, to: &str| {
            let to = root.join(to.trim_start_matches('/'));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(from, &to).unwrap();
        };
        for (name, program) in programs {
            place(program, name);
            for library in libraries(program) {
                place(Path::new(&library), &library);
            }
        }
        let file = dir.path().join("image.tar");
        let packed = Command::new("tar")
            .arg("-C")
            .arg(&root)
            .args(["--owner=0", "--group=0", "-cf"])
            .arg(&file)
            .arg(".")
            .status();
        assert!(packed.unwrap().success());
        let change = |what| ["--change", what];
        let mut words = vec!["import"];
        words.extend(change("LABEL lifeboat.test=1"));
        words.extend(change("USER 65532:65532"));
        words.extend(change("VOLUME /backups"));
        words.extend(change("HEALTHCHECK CMD [\"/lifeboat\", \"health\"]"));
        words.push(file.to_str().unwrap());
        Image { id: docker(&words) }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["image", "rm", "-f", &self.id])
            .output();
    }
}

/// Every path that the dynamic linker names; none for a static program.
fn libraries(program: &Path) -> Vec<String> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    paths.map(str::to_owned).collect()
}
