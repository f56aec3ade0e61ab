//! Blocks of a tar stream that no archiver would write.

/// One header block with a right checksum.
pub(super) fn header(name: &[u8], kind: u8, size: u64, link: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"14000000000\0");
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    summed(block)
}

pub(super) fn summed(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A header with bytes of it changed.
pub(super) fn with(mut block: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    block[at..at + bytes.len()].copy_from_slice(bytes);
    summed(block)
}

pub(super) fn data(bytes: &[u8]) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(512), 0);
    padded
}

pub(super) fn file(name: &[u8]) -> Vec<u8> {
    [header(name, b'0', 5, b""), data(b"pwned")].concat()
}

pub(super) fn link(name: &[u8], target: &[u8]) -> Vec<u8> {
    header(name, b'2', 0, target)
}

pub(super) fn hard(name: &[u8], target: &[u8]) -> Vec<u8> {
    header(name, b'1', 0, target)
}

pub(super) fn folder(name: &[u8]) -> Vec<u8> {
    header(name, b'5', 0, b"")
}

pub(super) fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body + 1;
    while length != body + length.to_string().len() {
        length = body + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

pub(super) fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let content: Vec<u8> = records
        .iter()
        .flat_map(|(key, value)| record(key, value))
        .collect();
    [
        header(b"PaxHeaders/x", b'x', content.len() as u64, b""),
        data(&content),
    ]
    .concat()
}

pub(super) fn long(kind: u8, name: &[u8]) -> Vec<u8> {
    [
        header(b"././@LongLink", kind, name.len() as u64, b""),
        data(name),
    ]
    .concat()
}

pub(super) fn sparse(size: &[u8], map: &[u8], stored: &[u8]) -> Vec<u8> {
    let body = [data(map), stored.to_vec()].concat();
    [
        pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"s"),
            ("GNU.sparse.realsize", size),
        ]),
        header(b"GNUSparseFile.1/s", b'0', body.len() as u64, b""),
        data(&body),
    ]
    .concat()
}

pub(super) const END: [u8; 1024] = [0; 1024];
