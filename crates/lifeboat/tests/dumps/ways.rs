//! What happens on the way to the engine, and what everybody may see there.

use crate::{
    kit::{self, Heard, Stored},
    postgres::{PASSWORD, start},
};
use lifeboat::docker::{Engine, Place, dumps, kind::DatabaseKind};
use lifeboat_run::Cancel;
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Stands between us and the engine, as a socket proxy does.
#[derive(Clone, Default)]
struct Relay {
    refuse: Arc<Mutex<String>>,
    /// Nobody answers any more.
    down: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn listen(&self) -> Place {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let relay = self.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let relay = relay.clone();
                thread::spawn(move || relay.pass(client.unwrap()).ok());
            }
        });
        Place::Tcp(address)
    }

    fn pass(&self, mut client: TcpStream) -> io::Result<()> {
        if self.down.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut head = vec![0; 16 << 10];
        let length = client.read(&mut head)?;
        let line = String::from_utf8_lossy(&head[..length]);
        let line = line.lines().next().unwrap_or_default().to_owned();
        let refuse = self.refuse.lock().unwrap().clone();
        if !refuse.is_empty() && line.contains(&refuse) {
            return client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        }
        let mut engine = UnixStream::connect("/var/run/docker.sock")?;
        engine.write_all(&head[..length])?;
        if line.contains("/start") {
            self.streams.lock().unwrap().push(client.try_clone()?);
        }
        let (mut up_from, mut up_to) = (client.try_clone()?, engine.try_clone()?);
        thread::spawn(move || io::copy(&mut up_from, &mut up_to).ok());
        io::copy(&mut engine, &mut client)?;
        client.shutdown(Shutdown::Both)
    }

    /// Ends all streams that are open, politely.
    fn cut_streams(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

#[test]
fn a_stream_that_is_cut_on_its_way_is_no_end_and_a_refusal_names_the_call() {
    let Some(direct) = kit::engine(&["postgres:15"]) else {
        return;
    };
    let mut held = start(&direct, "postgres:15", &[]);
    let relay = Relay::default();
    held.engine = Engine::connect(relay.listen()).unwrap();
    let server = kit::server(&held, DatabaseKind::Postgres);
    let sources = kit::open_with(&held, &server, Duration::from_secs(60), Duration::ZERO);
    let source = kit::named(&sources, "db.postgres");
    kit::pour(source).unwrap();

    kit::docker(&[
        "exec",
        &held.id,
        "sh",
        "-c",
        "printf '#!/bin/sh\\n/usr/bin/pg_dump \"$@\" | head -c 900; : > /tmp/there; exec sleep 100000\\n' > /usr/local/bin/pg_dump; chmod +x /usr/local/bin/pg_dump",
    ]);
    for (down, expected) in [(false, "stream_lost"), (true, "docker_lost")] {
        kit::docker(&["exec", &held.id, "rm", "-f", "/tmp/there"]);
        thread::scope(|scope| {
            let poured = scope.spawn(|| kit::fault(source));
            let look = ["exec", &held.id, "sh", "-c", "ls /tmp/there 2>&1 || true"];
            while kit::docker(&look) != "/tmp/there" {}
            relay.down.store(down, Ordering::SeqCst);
            relay.cut_streams();
            let (fault, text) = poured.join().unwrap();
            assert_eq!(fault, expected, "{text}");
        });
    }
    relay.down.store(false, Ordering::SeqCst);
    // What the lost engine still runs is ended by the next attempt.
    kit::docker(&["exec", &held.id, "rm", "/usr/local/bin/pg_dump"]);
    kit::pour(source).unwrap();
    let left =
        held.sh("grep -lz '^LIFEBOAT_RUN=lifeboat-test' /proc/[0-9]*/environ 2>/dev/null || true");
    assert_eq!(left, "");

    for (call, path) in [
        ("/exec HTTP", "POST /containers/"),
        ("/start HTTP", "POST /exec/"),
    ] {
        *relay.refuse.lock().unwrap() = call.to_owned();
        let (fault, text) = kit::fault(source);
        assert_eq!(fault, "docker_denied", "{text}");
        assert!(text.contains(path), "{text}");
        let all = kit::open(&held, &server);
        assert_eq!(kit::names(&all), ["db"]);
        assert_eq!(kit::fault(all[0].as_ref()).0, "docker_denied");
    }
    println!("RELIABILITY docker_faults=6 false_greens=0");
}

#[test]
fn no_secret_is_seen_on_command_lines_in_events_facts_or_errors() {
    let Some(engine) = kit::engine(&["postgres:15"]) else {
        return;
    };
    let strict = ["-e", "POSTGRES_INITDB_ARGS=--auth=scram-sha-256"];
    let held = start(&engine, "postgres:15", &strict);
    let since = kit::docker(&["exec", &held.id, "date", "+%s"]);
    let server = kit::server(&held, DatabaseKind::Postgres);
    let sources = kit::open(&held, &server);
    let heard = Heard::default();
    let mut seen = format!("{sources:?}");
    for source in &sources {
        let stored = Stored::default();
        let (_, sealed) =
            kit::pour_heard(source.as_ref(), &Cancel::default(), &stored, &heard).unwrap();
        seen += &format!("{:?}", sealed.facts());
    }
    kit::docker(&[
        "exec",
        &held.id,
        "sh",
        "-c",
        "printf '#!/bin/sh\\nenv >&2; exit 1\\n' > /usr/local/bin/pg_dump; chmod +x /usr/local/bin/pg_dump",
    ]);
    let (_, text) = kit::fault(kit::named(&sources, "db.postgres"));
    assert!(text.contains("PGPASSWORD=***"), "{text}");
    seen += &text;
    seen += &format!("{:?}", heard.0.lock().unwrap());
    let container = format!("container={}", held.id);
    let until = kit::docker(&["exec", &held.id, "sh", "-c", "sleep 1; date +%s"]);
    let events = kit::docker(&[
        "events",
        "--since",
        &since,
        "--until",
        &until,
        "--filter",
        &container,
        "--format",
        "{{json .}}",
    ]);
    assert!(
        events.contains("pg_dump") && events.contains("exec_start"),
        "{events}"
    );
    seen += &events;
    for part in [PASSWORD, "canary"] {
        assert!(!seen.contains(part), "{part} is seen");
    }
    println!("RELIABILITY secrets_looked_for=2 leaks=0");
}

#[test]
fn a_doctor_is_told_what_works_and_what_to_do() {
    let Some(engine) = kit::engine(&["postgres:15"]) else {
        return;
    };
    let held = start(&engine, "postgres:15", &[]);
    let mut server = kit::server(&held, DatabaseKind::Postgres);
    server.settings.databases = vec!["postgres".to_owned(), "shop".to_owned()];
    let checked = kit::how(|how| dumps::check(&engine, &server, how));
    assert!(
        checked[0].is_good() && checked[0].what.contains("globals, postgres"),
        "{checked:?}"
    );
    assert!(checked[1].what.contains("db.shop"), "{checked:?}");
    assert!(
        checked[1].hint.contains("lifeboat.databases"),
        "{checked:?}"
    );
    server.settings.user = Some("nobody".to_owned());
    let checked = kit::how(|how| dumps::check(&engine, &server, how));
    assert_eq!(checked.len(), 1);
    assert!(checked[0].hint.contains("lifeboat.user"), "{checked:?}");
    assert_eq!(checked[0].what.lines().count(), 1, "{checked:?}");
}
