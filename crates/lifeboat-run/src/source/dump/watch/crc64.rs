//! CRC-64, reflected, eight bytes at a time.

#[derive(Clone)]
pub(super) struct Crc64 {
    tables: &'static Tables,
    state: u64,
    last_xor: u64,
}

type Tables = [[u64; 256]; 8];

static JONES: Tables = tables(0x95ac_9329_ac4b_c9b5);
static ECMA: Tables = tables(0xc96c_5795_d787_0f42);

const fn tables(polynomial: u64) -> Tables {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (if crc & 1 == 1 { polynomial } else { 0 });
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut ahead = 1;
    while ahead < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[ahead - 1][byte];
            tables[ahead][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        ahead += 1;
    }
    tables
}

impl Crc64 {
    /// As Redis takes it.
    pub(super) fn jones() -> Self {
        Crc64 {
            tables: &JONES,
            state: 0,
            last_xor: 0,
        }
    }

    /// As Go's `crc64.ECMA`.
    pub(super) fn ecma() -> Self {
        Crc64 {
            tables: &ECMA,
            state: !0,
            last_xor: !0,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let t = self.tables;
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            let x = (self.state ^ u64::from_le_bytes(*eight)).to_le_bytes();
            self.state = t[7][x[0] as usize]
                ^ t[6][x[1] as usize]
                ^ t[5][x[2] as usize]
                ^ t[4][x[3] as usize]
                ^ t[3][x[4] as usize]
                ^ t[2][x[5] as usize]
                ^ t[1][x[6] as usize]
                ^ t[0][x[7] as usize];
        }
        for byte in rest {
            let low = (self.state ^ u64::from(*byte)) & 0xff;
            self.state = (self.state >> 8) ^ t[0][low as usize];
        }
    }

    pub(super) fn value(&self) -> u64 {
        self.state ^ self.last_xor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_values_of_the_catalogues_come_out() {
        for (mut crc, check) in [
            (Crc64::jones(), 0xe9c6_d914_c4b8_d9ca),
            (Crc64::ecma(), 0x995d_c9bb_df19_39fa),
        ] {
            crc.update(b"123456789");
            assert_eq!(crc.value(), check);
        }
    }

    #[test]
    fn it_makes_no_difference_where_the_bytes_are_cut() {
        let bytes: Vec<u8> = (0..1000u32).map(|n| ((n * n) >> 3) as u8).collect();
        let mut whole = Crc64::jones();
        whole.update(&bytes);
        for at in 0..bytes.len() {
            let mut cut = Crc64::jones();
            cut.update(&bytes[..at]);
            cut.update(&bytes[at..]);
            assert_eq!(cut.value(), whole.value(), "{at}");
        }
    }
}
