//! How are a sequence's activities written down? As bytes: one each, while there are few activities.

/// Appends codes as LEB128: one byte each below 128.
#[inline]
pub fn write_codes(codes: &[u32], bytes: &mut Vec<u8>) {
    for &code in codes {
        let mut rest = code;
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    }
}

/// Reads what [`write_codes`] wrote.
pub fn read_codes(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let mut rest = bytes.iter();
    std::iter::from_fn(move || {
        let (mut code, mut shift) = (0u32, 0);
        loop {
            let &byte = rest.next()?;
            code |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(code);
            }
            shift += 7;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_every_width_come_back() {
        let codes = [0, 1, 127, 128, 300, 16_383, 16_384, u32::MAX];
        let mut bytes = Vec::new();
        write_codes(&codes, &mut bytes);
        assert_eq!(read_codes(&bytes).collect::<Vec<u32>>(), codes);
    }
}
