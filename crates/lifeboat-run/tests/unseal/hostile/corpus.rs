//! Every hostile archive by its name.

use super::blocks::*;

/// Name, entries, stream without its end.
pub(super) fn corpus(outside: &str) -> Vec<(&'static str, u64, Vec<u8>)> {
    let victim = format!("{outside}/victim").into_bytes();
    let folder_outside = format!("{outside}/folder").into_bytes();
    let a = || file(b"a");
    vec![
        ("a name that starts with ..", 1, file(b"../victim")),
        ("a name with .. inside", 1, file(b"a/../../victim")),
        ("a name that ends with ..", 1, folder(b"a/..")),
        ("only ..", 1, folder(b"..")),
        ("an absolute name", 1, file(&victim)),
        ("an absolute folder", 1, folder(b"/")),
        ("an absolute name behind ./", 1, file(b".//victim")),
        ("an empty name", 1, file(b"")),
        ("an empty part", 1, file(b"a//b")),
        ("a part of one dot", 1, file(b"a/./b")),
        ("a file called .", 1, file(b".")),
        ("a file with a final slash", 1, file(b"./a/")),
        (
            "a NUL in a PAX name",
            1,
            [pax(&[("path", b"a\0b")]), a()].concat(),
        ),
        (
            "a PAX name with ..",
            1,
            [pax(&[("path", b"x/../../victim")]), a()].concat(),
        ),
        (
            "an absolute PAX name",
            1,
            [pax(&[("path", &victim)]), a()].concat(),
        ),
        (
            "an empty PAX name",
            1,
            [pax(&[("path", b"")]), a()].concat(),
        ),
        (
            "a GNU name with ..",
            1,
            [long(b'L', b"../victim\0"), a()].concat(),
        ),
        (
            "a GNU name without its end",
            1,
            [long(b'L', b"abc"), a()].concat(),
        ),
        (
            "a GNU name with NULs inside",
            1,
            [long(b'L', b"a\0b\0"), a()].concat(),
        ),
        ("a prefix with ..", 1, with(a(), 345, b"../..")[..].to_vec()),
        (
            "writing through a link",
            2,
            [link(b"l", b".."), file(b"l/victim")].concat(),
        ),
        (
            "writing through an absolute link",
            2,
            [link(b"l", &folder_outside), file(b"l/x")].concat(),
        ),
        (
            "writing through a link in a folder",
            3,
            [folder(b"d"), link(b"d/l", b"../.."), file(b"d/l/victim")].concat(),
        ),
        (
            "a folder over a link",
            2,
            [link(b"l", b"../folder"), folder(b"l/")].concat(),
        ),
        (
            "a folder over a link, and into it",
            3,
            [link(b"l", b"../folder"), folder(b"l/"), file(b"l/x")].concat(),
        ),
        (
            "a link over a folder, and into it",
            3,
            [folder(b"l"), link(b"l", b"../folder"), file(b"l/x")].concat(),
        ),
        (
            "a file over a link",
            2,
            [link(b"l", b"../victim"), file(b"l")].concat(),
        ),
        (
            "a link over a file",
            2,
            [file(b"l"), link(b"l", b"../victim")].concat(),
        ),
        ("a link to nothing at all", 1, link(b"l", b"")),
        ("a hard link out", 1, hard(b"h", b"../victim")),
        ("a hard link to an absolute name", 1, hard(b"h", &victim)),
        (
            "a hard link to a link, and a write",
            3,
            [link(b"l", b"../victim"), hard(b"h", b"l"), file(b"h")].concat(),
        ),
        (
            "a hard link through a link",
            2,
            [link(b"l", b".."), hard(b"h", b"l/victim")].concat(),
        ),
        (
            "a hard link to a folder",
            2,
            [folder(b"d"), hard(b"h", b"d")].concat(),
        ),
        ("a hard link to itself", 1, hard(b"h", b"h")),
        ("a hard link to nothing", 1, hard(b"h", b"x")),
        (
            "a hard link to what comes later",
            2,
            [hard(b"h", b"a"), a()].concat(),
        ),
        (
            "a hard link over a file",
            3,
            [a(), file(b"h"), hard(b"h", b"a")].concat(),
        ),
        (
            "a hard link with data",
            2,
            [a(), header(b"h", b'1', 5, b"a"), data(b"pwned")].concat(),
        ),
        ("two files of one name", 2, [a(), a()].concat()),
        (
            "two files of one name, said differently",
            2,
            [a(), file(b"./a")].concat(),
        ),
        (
            "two folders of one name",
            2,
            [folder(b"d"), folder(b"d/")].concat(),
        ),
        (
            "two folders of no name",
            2,
            [folder(b"./"), folder(b".")].concat(),
        ),
        ("a folder over a file", 2, [a(), folder(b"a")].concat()),
        ("a file over a folder", 2, [folder(b"a"), a()].concat()),
        ("a file below a file", 2, [a(), file(b"a/b")].concat()),
        (
            "a file far below a file",
            2,
            [a(), file(b"a/b/c/d")].concat(),
        ),
        (
            "a file below a pipe",
            2,
            [header(b"p", b'6', 0, b""), file(b"p/b")].concat(),
        ),
        (
            "a file over a pipe",
            2,
            [header(b"p", b'6', 0, b""), file(b"p")].concat(),
        ),
        ("two sizes", 1, [pax(&[("size", b"512")]), a()].concat()),
        (
            "a size of zero against a PAX size",
            1,
            [
                pax(&[("size", b"5")]),
                header(b"a", b'0', 0, b""),
                data(b"pwned"),
            ]
            .concat(),
        ),
        (
            "a huge PAX size",
            1,
            [
                pax(&[("size", b"18446744073709551615")]),
                header(b"a", b'0', 0, b""),
            ]
            .concat(),
        ),
        (
            "a PAX size that is no number",
            1,
            [pax(&[("size", b"0x5")]), a()].concat(),
        ),
        (
            "a size below zero",
            1,
            with(header(b"a", b'0', 0, b""), 124, &[0xff; 12]),
        ),
        (
            "a size of 2^62 in base 256",
            1,
            with(
                header(b"a", b'0', 0, b""),
                124,
                b"\x80\0\0\0\x40\0\0\0\0\0\0\0",
            ),
        ),
        (
            "links in two dialects",
            1,
            [
                pax(&[("linkpath", b"b")]),
                long(b'K', b"c\0"),
                link(b"l", b"d"),
            ]
            .concat(),
        ),
        (
            "names in two dialects",
            1,
            [pax(&[("path", b"b")]), long(b'L', b"c\0"), a()].concat(),
        ),
        (
            "names in two dialects, the other way",
            1,
            [long(b'L', b"c\0"), pax(&[("path", b"b")]), a()].concat(),
        ),
        (
            "two long names",
            1,
            [long(b'L', b"b\0"), long(b'L', b"c\0"), a()].concat(),
        ),
        (
            "two extended headers",
            1,
            [pax(&[("path", b"b")]), pax(&[("path", b"c")]), a()].concat(),
        ),
        (
            "two names in one extended header",
            1,
            [pax(&[("path", b"b"), ("path", b"c")]), a()].concat(),
        ),
        (
            "an extended header for nothing",
            1,
            [a(), pax(&[("path", b"b")])].concat(),
        ),
        (
            "an extended header that does not end",
            1,
            [header(b"x", b'x', 12, b""), data(b"99 path=abc\n"), a()].concat(),
        ),
        (
            "an extended header of no records",
            1,
            [header(b"x", b'x', 6, b""), data(b"hello\n"), a()].concat(),
        ),
        (
            "an extended header of 10 GiB",
            1,
            with(
                header(b"x", b'x', 0, b""),
                124,
                b"\x80\0\0\0\0\0\0\x02\x80\0\0\0",
            ),
        ),
        ("a long name of 1 GiB", 1, header(b"x", b'L', 1 << 30, b"")),
        (
            "a global header",
            1,
            [header(b"g", b'g', 11, b""), data(b"11 uid=0000"), a()].concat(),
        ),
        (
            "an unknown critical record",
            1,
            [pax(&[("GNU.volume.offset", b"5")]), a()].concat(),
        ),
        (
            "a sparse file of star",
            1,
            [pax(&[("SCHILY.realsize", b"500")]), a()].concat(),
        ),
        (
            "a sparse map beyond the file",
            1,
            sparse(b"100", b"1\n99\n5\n", b"pwned"),
        ),
        (
            "a sparse map that overlaps",
            1,
            sparse(b"100", b"2\n0\n3\n2\n2\n", b"pwned"),
        ),
        (
            "a sparse map that runs backwards",
            1,
            sparse(b"100", b"2\n50\n3\n2\n2\n", b"pwned"),
        ),
        (
            "a sparse map that wraps around",
            1,
            sparse(b"100", b"1\n18446744073709551615\n5\n", b"pwned"),
        ),
        (
            "a sparse map of too few bytes",
            1,
            sparse(b"100", b"1\n0\n4\n", b"pwned"),
        ),
        (
            "a sparse map of too many bytes",
            1,
            sparse(b"100", b"1\n0\n6\n", b"pwned"),
        ),
        (
            "a sparse map that does not end",
            1,
            sparse(b"100", b"100000\n0\n5\n", b"pwned"),
        ),
        (
            "a sparse map of letters",
            1,
            sparse(b"100", b"x\n", b"pwned"),
        ),
        (
            "a sparse file of 2^63 bytes",
            1,
            sparse(b"9223372036854775808", b"1\n0\n5\n", b"pwned"),
        ),
        (
            "a sparse folder",
            1,
            [
                pax(&[
                    ("GNU.sparse.major", b"1"),
                    ("GNU.sparse.minor", b"0"),
                    ("GNU.sparse.name", b"s"),
                    ("GNU.sparse.realsize", b"5"),
                ]),
                folder(b"s"),
            ]
            .concat(),
        ),
        (
            "a link with data",
            1,
            [header(b"l", b'2', 5, b"x"), data(b"pwned")].concat(),
        ),
        (
            "a folder with data",
            1,
            [header(b"d", b'5', 5, b""), data(b"pwned")].concat(),
        ),
        (
            "an owner that means nobody",
            1,
            with(folder(b"d"), 108, b"\x80\0\0\0\xff\xff\xff\xff"),
        ),
        (
            "an owner beyond all owners",
            1,
            [pax(&[("uid", b"4294967296")]), a()].concat(),
        ),
        ("an unknown type", 1, header(b"d", b'V', 0, b"")),
        (
            "a folder of an incremental dump",
            1,
            header(b"d", b'D', 0, b""),
        ),
        ("a continued file", 1, header(b"d", b'M', 0, b"")),
        ("a wrong checksum", 1, {
            let mut block = a();
            block[0] ^= 1;
            block
        }),
        (
            "no mark of a tar",
            1,
            with(header(b"a", b'0', 0, b""), 257, b"ugly!"),
        ),
        (
            "a number with letters",
            1,
            with(header(b"a", b'0', 0, b""), 100, b"00z0644\0"),
        ),
        (
            "more entries than were sealed",
            1,
            [a(), file(b"b")].concat(),
        ),
        (
            "fewer entries than were sealed",
            3,
            [a(), file(b"b")].concat(),
        ),
        ("no entries at all", 1, Vec::new()),
        (
            "an entry after a zero block",
            2,
            [a(), vec![0; 512], file(b"b")].concat(),
        ),
        (
            "an archive after the archive",
            2,
            [a(), END.to_vec(), file(b"b")].concat(),
        ),
        (
            "something after the end",
            1,
            [a(), END.to_vec(), vec![7; 512]].concat(),
        ),
        (
            "a mebibyte of zeros and more",
            1,
            [a(), vec![0; (1 << 20) + 2048]].concat(),
        ),
    ]
}
