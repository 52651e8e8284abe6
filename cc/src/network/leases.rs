//! dnsmasq's lease file: pure parsing of its text. A line is `EXPIRY MAC ADDRESS NAME CLIENT-ID`;
//! EXPIRY is in seconds since the epoch, 0 for a lease without end.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Addresses by MAC (lower case) of the leases that are valid at `now` (seconds since the epoch).
/// Of two leases of one MAC the one that ends later counts. IPv6 leases are left out.
pub fn parse(text: &str, now: i64) -> BTreeMap<String, Ipv4Addr> {
    let mut latest: BTreeMap<String, (i64, Ipv4Addr)> = BTreeMap::new();
    for (expiry, mac, address) in text.lines().filter_map(lease) {
        let ends = if expiry == 0 { i64::MAX } else { expiry };
        if ends > now && latest.get(&mac).is_none_or(|(other, _)| ends >= *other) {
            latest.insert(mac, (ends, address));
        }
    }
    latest.into_iter().map(|(mac, (_, address))| (mac, address)).collect()
}

fn lease(line: &str) -> Option<(i64, String, Ipv4Addr)> {
    let mut columns = line.split_whitespace();
    let expiry = columns.next()?.parse().ok()?;
    let mac = columns.next()?;
    // dnsmasq writes a hardware type other than Ethernet as a prefix, `06-aa:bb:...`.
    let mac = mac.rsplit('-').next().unwrap_or(mac).to_ascii_lowercase();
    let address = columns.next()?.parse().ok()?;
    Some((expiry, mac, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_leases_are_read_and_the_later_one_counts() {
        let text = "\
1000 d0:0d:00:00:00:01 10.0.0.1 guest 01:d0:0d
3000 D0:0D:00:00:00:02 10.0.0.2 * *
5000 d0:0d:00:00:00:02 10.0.0.3 * *
0 06-d0:0d:00:00:00:04 10.0.0.4 * *
duid 00:01:00:01
6000 1234 2001:db8::1 guest *
broken
";
        let table = parse(text, 2000);
        assert_eq!(table.len(), 2);
        assert_eq!(table["d0:0d:00:00:00:02"], Ipv4Addr::new(10, 0, 0, 3));
        assert_eq!(table["d0:0d:00:00:00:04"], Ipv4Addr::new(10, 0, 0, 4));
    }
}
