//! The kernel's neighbour table, `/proc/net/arp`: pure parsing of its text. It has only machines
//! that this host has talked to on a network of its own.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Addresses by MAC (lower case). Incomplete entries are left out. The columns are those of
/// proc_net(5): IP address, HW type, Flags, HW address, Mask, Device; flag 0x2 = complete.
pub fn parse(text: &str) -> BTreeMap<String, Ipv4Addr> {
    text.lines().skip(1).filter_map(entry).collect()
}

fn entry(line: &str) -> Option<(String, Ipv4Addr)> {
    let mut columns = line.split_whitespace();
    let address: Ipv4Addr = columns.next()?.parse().ok()?;
    let flags = u32::from_str_radix(columns.nth(1)?.strip_prefix("0x")?, 16).ok()?;
    let mac = columns.next()?;
    let complete = flags & 0x2 != 0 && mac != "00:00:00:00:00:00";
    complete.then(|| (mac.to_ascii_lowercase(), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_entries_are_read_and_the_rest_is_passed_over() {
        let text = "\
IP address       HW type     Flags       HW address            Mask     Device
10.0.0.5         0x1         0x2         D0:0D:46:e2:08:c2     *        ibr0
10.0.0.6         0x1         0x0         00:00:00:00:00:00     *        ibr0
10.0.0.7         0x1         0x6         d0:0d:00:00:00:01     *        ibr0
nonsense
10.0.0.8         0x1
";
        let table = parse(text);
        assert_eq!(table.len(), 2);
        assert_eq!(table["d0:0d:46:e2:08:c2"], Ipv4Addr::new(10, 0, 0, 5));
        assert_eq!(table["d0:0d:00:00:00:01"], Ipv4Addr::new(10, 0, 0, 7));
        assert!(parse("").is_empty());
    }
}
