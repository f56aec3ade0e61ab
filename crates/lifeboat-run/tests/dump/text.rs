//! Dumps as SQL text.

use crate::{
    kit::{judge, judges_alike_in_pieces, refuses_cuts},
    postgres_server::Server,
};
use lifeboat_run::source::Format;

/// Where the last line that matters ends.
fn end_of(text: &[u8], line: &str) -> usize {
    let line = format!("{line}\n");
    let at = text.windows(line.len()).rposition(|w| w == line.as_bytes());
    at.unwrap() + line.len()
}

#[test]
fn real_dumps_as_text_are_whole_and_refused_when_they_are_cut() {
    let Some(server) = Server::start() else {
        return;
    };
    server.sql(
        "postgres",
        "create role shop; create table t (a int, b text); insert into t values (1, 'x'), (2, 'y')",
    );
    for (program, arguments) in [
        ("pg_dump", &["postgres"][..]),
        ("pg_dump", &["--schema-only", "postgres"]),
        ("pg_dump", &["--inserts", "postgres"]),
        ("pg_dumpall", &["--globals-only"]),
        ("pg_dumpall", &[]),
    ] {
        let dump = server.run(program, arguments);
        let text = String::from_utf8(dump.clone()).unwrap();
        let last = text.lines().rev().find(|line| !matches!(*line, "" | "--"));
        let end = end_of(&dump, last.unwrap());
        // What comes then is an empty comment.
        refuses_cuts(Format::PostgresSql, &dump, 0..end);
        for at in end..dump.len() {
            let _ = judge(Format::PostgresSql, &dump[..at]);
        }
        judges_alike_in_pieces(Format::PostgresSql, &dump);
    }
}

const TRAILER: &str = "--\n-- PostgreSQL database dump complete\n--\n\n";

#[test]
fn a_dump_of_an_older_postgresql_needs_no_end_of_a_restriction() {
    let dump = format!("--\n-- PostgreSQL database dump\n--\n\nselect 1;\n\n{TRAILER}");
    refuses_cuts(Format::PostgresSql, dump.as_bytes(), 0..dump.len() - 4);
}

#[test]
fn a_restriction_must_be_ended_with_its_own_key() {
    let dump = |key: &str| format!("\\restrict abc\n\nselect 1;\n{TRAILER}\\unrestrict {key}\n\n");
    assert!(judge(Format::PostgresSql, dump("abc").as_bytes()).is_ok());
    assert!(judge(Format::PostgresSql, dump("abd").as_bytes()).is_err());
    let without = format!("\\restrict abc\n\nselect 1;\n{TRAILER}");
    let (_, why) = judge(Format::PostgresSql, without.as_bytes()).unwrap_err();
    assert_eq!(why, "no `\\unrestrict abc` at its end, but another comment");
}

#[test]
fn a_dump_of_a_cluster_does_not_end_with_its_first_database() {
    let cluster = format!("--\n-- PostgreSQL database cluster dump\n--\n\n{TRAILER}");
    assert!(judge(Format::PostgresSql, cluster.as_bytes()).is_err());
}

#[test]
fn a_trailer_is_no_trailer_when_something_comes_after_it() {
    for after in ["COPY t FROM stdin;\n", "1\t2\n", "-- more\n", "x"] {
        let dump = format!("select 1;\n{TRAILER}{after}");
        assert!(
            judge(Format::PostgresSql, dump.as_bytes()).is_err(),
            "{after:?}"
        );
    }
}

#[test]
fn what_is_said_of_a_cut_dump_shows_no_data() {
    for (dump, said) in [
        ("", "nothing"),
        ("\n\n", "nothing"),
        ("1\tsecret\n", "data or a statement"),
        ("1\tsec", "the middle of a line"),
    ] {
        let (_, why) = judge(Format::PostgresSql, dump.as_bytes()).unwrap_err();
        assert_eq!(
            why,
            format!("no `-- PostgreSQL database dump complete` at its end, but {said}")
        );
    }
}

#[test]
fn a_dump_of_mysql_is_whole_with_its_last_comment_dated_or_not() {
    for last in [
        "-- Dump completed",
        "-- Dump completed on 2025-12-13  2:00:07",
    ] {
        for line_end in ["\n", "\r\n"] {
            let dump = [
                "/*M!999999\\- enable the sandbox mode */ ",
                "-- MariaDB dump 10.19",
                "INSERT INTO `t` VALUES (1,'-- Dump completed'),(2,'x');",
                "/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;",
                "",
                last,
                "",
            ]
            .join(line_end);
            refuses_cuts(Format::MysqlSql, dump.as_bytes(), 0..dump.len());
            judges_alike_in_pieces(Format::MysqlSql, dump.as_bytes());
        }
    }
}

#[test]
fn a_dump_of_mysql_with_something_else_at_its_end_is_not_whole() {
    for end in [
        "",
        "-- Dump completed?\n",
        "-- Dump completedly\n",
        "-- Dump completed\nmysqldump: Got error: 2013\n",
        "/* -- Dump completed\n",
    ] {
        let dump = format!("INSERT INTO `t` VALUES (1);\n{end}");
        assert!(judge(Format::MysqlSql, dump.as_bytes()).is_err(), "{end:?}");
    }
}

#[test]
fn a_long_dump_is_judged_by_its_two_ends() {
    let row = "1\tsome text that takes its room\n".repeat(100_000);
    let dump = format!("\\restrict k\n{row}{TRAILER}\\unrestrict k\n\n");
    assert!(judge(Format::PostgresSql, dump.as_bytes()).is_ok());
    judges_alike_in_pieces(Format::PostgresSql, &dump.as_bytes()[..100_000]);
}
