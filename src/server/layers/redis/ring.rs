//! Which of several servers a name belongs to: the consistent hash of `channels_redis`.

/// The index of the server for `name` among `hosts`: the lowest twelve bits of the CRC-32, cut into equal parts.
pub(super) fn ring(name: &str, hosts: usize) -> usize {
    const SLOTS: u32 = 4096;
    if hosts < 2 {
        return 0;
    }
    let slot = crc32fast::hash(name.as_bytes()) % SLOTS;
    // In floating point, as there: the parts of seven hosts are not whole.
    (f64::from(slot) / (f64::from(SLOTS) / hosts as f64)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `channels_redis` 4.3.0: a name, and where it belongs among 1, 2, 3, 4, 5, 7, 8, 10 and 16 hosts.
    #[test]
    fn names_belong_where_python_looks_for_them() {
        for (name, places) in [
            ("key_one", [0, 1, 2, 2, 3, 4, 5, 6, 11]),
            ("key_two", [0, 0, 1, 1, 2, 3, 3, 4, 7]),
            ("chat", [0, 0, 0, 0, 0, 1, 1, 1, 2]),
            ("room.1", [0, 1, 2, 2, 3, 5, 5, 7, 11]),
            ("room-1_2", [0, 0, 0, 0, 1, 1, 1, 2, 3]),
            ("asgi__group__chat", [0, 1, 2, 3, 4, 6, 7, 9, 15]),
            ("asgi__group__room.1", [0, 0, 0, 1, 1, 1, 2, 2, 4]),
            ("specific.0123456789abcdef0123456789abcdef!", [0, 0, 1, 1, 1, 2, 2, 3, 5]),
            ("specific.00000000000000000000000000000000!", [0, 0, 0, 0, 0, 0, 0, 0, 1]),
            ("asgispecific.0123456789abcdef0123456789abcdef", [0, 0, 1, 1, 1, 2, 2, 3, 5]),
        ] {
            assert_eq!([1, 2, 3, 4, 5, 7, 8, 10, 16].map(|hosts| ring(name, hosts)), places, "{name}");
        }
    }
}
