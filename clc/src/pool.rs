//! The cloud's elastic addresses, as the administrator writes them into the configuration: single
//! addresses, ranges `192.0.2.10-192.0.2.20`, and networks `192.0.2.0/28`. Pure.

use std::net::Ipv4Addr;

/// Addresses in one pool: more is surely a slip.
const MAX_ADDRESSES: u32 = 65536;

/// Every elastic address there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// First and last of each range, in the order of the configuration; none overlap.
    ranges: Vec<(u32, u32)>,
}

impl Pool {
    /// Reads the configuration's list.
    ///
    /// # Errors
    /// Which entry is wrong, and how.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        let mut ranges: Vec<(u32, u32)> = Vec::with_capacity(entries.len());
        let mut count = 0_u32;
        for entry in entries {
            let (first, last) = range(entry).ok_or_else(|| {
                format!("'{entry}' is no address, no range such as 192.0.2.10-192.0.2.20, and no network such as 192.0.2.0/28")
            })?;
            if ranges.iter().any(|(from, to)| first <= *to && *from <= last) {
                return Err(format!("'{entry}' holds addresses that stand before it already"));
            }
            count = count.saturating_add((last - first).saturating_add(1));
            if count > MAX_ADDRESSES {
                return Err(format!("with '{entry}' there are more than {MAX_ADDRESSES} addresses"));
            }
            ranges.push((first, last));
        }
        Ok(Self { ranges })
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Every address, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.ranges.iter().flat_map(|(first, last)| (*first..=*last).map(Ipv4Addr::from_bits))
    }
}

fn range(entry: &str) -> Option<(u32, u32)> {
    let bits = |text: &str| Some(text.trim().parse::<Ipv4Addr>().ok()?.to_bits());
    if let Some((first, last)) = entry.split_once('-') {
        return Some((bits(first)?, bits(last)?)).filter(|(first, last)| first <= last);
    }
    let Some((network, length)) = entry.split_once('/') else { return bits(entry).map(|one| (one, one)) };
    let host = 32_u32.checked_sub(length.trim().parse().ok()?)?;
    let others = 1_u32.checked_shl(host).map_or(u32::MAX, |size| size - 1);
    let first = bits(network)?;
    (first & others == 0).then_some((first, first | others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(entries: &[&str]) -> Result<Vec<String>, String> {
        let entries: Vec<String> = entries.iter().map(ToString::to_string).collect();
        Pool::parse(&entries).map(|pool| pool.iter().map(|address| address.to_string()).collect())
    }

    #[test]
    fn addresses_ranges_and_networks_make_one_pool() {
        let all = pool(&["192.0.2.9", "192.0.2.1 - 192.0.2.2", "198.51.100.4/31"]).unwrap();
        assert_eq!(all, ["192.0.2.9", "192.0.2.1", "192.0.2.2", "198.51.100.4", "198.51.100.5"]);
        assert!(Pool::parse(&[]).unwrap().is_empty());
        assert_eq!(pool(&["192.0.2.7/32"]).unwrap().len(), 1);
    }

    #[test]
    fn slips_name_their_entry() {
        for bad in ["192.0.2", "192.0.2.9-192.0.2.1", "192.0.2.1/24", "192.0.2.0/33", "x-y", "::1"] {
            assert!(pool(&["198.51.100.1", bad]).unwrap_err().contains(bad), "{bad}");
        }
        assert!(pool(&["192.0.2.0/28", "192.0.2.15"]).unwrap_err().contains("before"));
        assert!(pool(&["0.0.0.0/0"]).unwrap_err().contains("65536"));
    }
}
