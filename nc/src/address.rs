//! Learning the addresses of guests whose network somebody else manages (SYSTEM mode): from the DHCP
//! answers that pass the bridge, and from the kernel's ARP table. The two parsers are pure and read
//! hostile bytes; the listener is one named thread. Knows no instances: it tells MAC and address.

use std::io;
use std::mem;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::thread::JoinHandle;

use nix::libc;

/// A hardware address and the address that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The guest's.
    pub mac: [u8; 6],
    /// Its.
    pub ip: Ipv4Addr,
}

/// Reads `d0:0d:3c:5a:07:32`, in either case; `None` if it is no single station's address.
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0u8; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    (parts.next().is_none() && mac[0] & 1 == 0 && mac != [0; 6]).then_some(mac)
}

/// Writes a hardware address as libvirt does.
pub fn format_mac(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// The lease that an Ethernet frame confirms: a DHCPACK (RFC 2131) from a server's port to a client's, over IPv4.
/// `None` for every other frame. Frames sent by a guest (`d0:0d:`, as Eucalyptus forms its MACs) are not believed:
/// a guest must not be able to tell us another's address.
pub fn read_dhcp_ack(frame: &[u8]) -> Option<Lease> {
    const GUEST: [u8; 2] = [0xd0, 0x0d];
    let (ethernet, packet) = frame.split_at_checked(14)?;
    if ethernet[12..14] != [0x08, 0x00] || ethernet[6..8] == GUEST {
        return None;
    }
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let is_udp = packet[0] >> 4 == 4 && header >= 20 && *packet.get(9)? == 17;
    // A fragment has no UDP header, or not all of the message.
    let whole = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x3fff == 0;
    if !is_udp || !whole {
        return None;
    }
    let (udp, message) = packet.get(header..)?.split_at_checked(8)?;
    if udp[0..4] != [0, 67, 0, 68] {
        return None;
    }
    read_bootp_ack(message)
}

/// The lease in a BOOTP message: a reply (op 2) over Ethernet (1, 6), with the magic cookie, whose option 53 says ACK (5).
fn read_bootp_ack(message: &[u8]) -> Option<Lease> {
    let (fixed, options) = message.split_at_checked(240)?;
    if fixed[0..3] != [2, 1, 6] || fixed[236..240] != [99, 130, 83, 99] {
        return None;
    }
    let mut rest = options;
    loop {
        let (&code, tail) = rest.split_first()?;
        match code {
            0 => rest = tail,
            255 => return None,
            _ => {
                let (&length, tail) = tail.split_first()?;
                let (value, tail) = tail.split_at_checked(usize::from(length))?;
                if code == 53 {
                    let mac: [u8; 6] = fixed[28..34].try_into().ok()?;
                    let ip = Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]);
                    // An ACK to DHCPINFORM has no address in it.
                    return (value == [5] && !ip.is_unspecified()).then_some(Lease { mac, ip });
                }
                rest = tail;
            }
        }
    }
}

/// The complete entries of `/proc/net/arp`.
pub fn read_arp(table: &str) -> Vec<Lease> {
    /// Linux's ATF_COM: the entry is complete.
    const COMPLETE: u32 = 0x2;
    let entry = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[ip, _type, flags, mac, ..] = fields.as_slice() else { return None };
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        let lease = Lease { mac: parse_mac(mac)?, ip: ip.parse().ok()? };
        (flags & COMPLETE != 0).then_some(lease)
    };
    table.lines().filter_map(entry).collect()
}

/// Listens for leases on a bridge and tells each to `tell`, on a thread of its own. The thread ends when `tell` returns
/// false, and when the bridge goes.
///
/// # Errors
/// When the socket cannot be made, above all for lack of CAP_NET_RAW, or the bridge is not there.
pub fn listen(bridge: &str, tell: impl Fn(Lease) -> bool + Send + 'static) -> io::Result<JoinHandle<()>> {
    let socket = open(bridge)?;
    std::thread::Builder::new().name("dhcp-listener".to_string()).spawn(move || {
        let mut frame = [0u8; 2048];
        loop {
            // SAFETY: the buffer is ours, as long as it says, and lives across the call.
            let got = unsafe { libc::recv(socket.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), 0) };
            let lease = usize::try_from(got).ok().and_then(|length| read_dhcp_ack(&frame[..length]));
            match lease {
                Some(lease) if !tell(lease) => return,
                Some(_) => {}
                None if got < 0 && !keep_on(&io::Error::last_os_error()) => return,
                None => {}
            }
        }
    })
}

/// Whether listening goes on after this error. A bridge that went down may also be gone: then the socket would be deaf
/// for ever.
fn keep_on(error: &io::Error) -> bool {
    let patient = matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR));
    if !patient {
        tracing::warn!(event = "nc.address.lost", %error);
    }
    patient
}

/// Only unfragmented UDP over IPv4 to port 68, so that the thread sleeps through all other traffic: classic BPF
/// (Linux, Documentation/networking/filter.rst); a jump counts from the line after it.
const TO_DHCP_CLIENTS: [libc::sock_filter; 11] = {
    const fn op(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code, jt, jf, k }
    }
    [
        op(0x28, 0, 0, 12),     // ldh [12]            the Ethernet type
        op(0x15, 0, 7, 0x0800), // jeq IPv4            else drop
        op(0x30, 0, 0, 23),     // ldb [23]            the protocol
        op(0x15, 0, 5, 17),     // jeq UDP             else drop
        op(0x28, 0, 0, 20),     // ldh [20]            flags and fragment offset
        op(0x45, 3, 0, 0x1fff), // jset a fragment     drop
        op(0xb1, 0, 0, 14),     // ldxb 4*([14]&0xf)   the IP header's length
        op(0x48, 0, 0, 16),     // ldh [x+16]          the destination port
        op(0x15, 1, 0, 68),     // jeq 68              accept
        op(0x06, 0, 0, 0),      // drop
        op(0x06, 0, 0, 2048),   // accept, up to 2048 bytes
    ]
};

/// A raw socket on the bridge that hears what passes through it, in both directions.
fn open(bridge: &str) -> io::Result<OwnedFd> {
    let all = i32::from((libc::ETH_P_ALL as u16).to_be());
    let index = nix::net::if_::if_nametoindex(bridge)?;
    if !is_up(bridge)? {
        return Err(io::Error::new(io::ErrorKind::NetworkDown, "the bridge is down"));
    }
    let index = i32::try_from(index).map_err(io::Error::other)?;
    // SAFETY: no memory is passed; the result is checked before it is used. Protocol 0: nothing is heard before the filter stands.
    let raw = check(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the descriptor was just made and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };

    let mut program = TO_DHCP_CLIENTS;
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    set(&socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)?;
    let patience = libc::timeval { tv_sec: 1, tv_usec: 0 };
    set(&socket, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &patience)?;
    // A bridge hands up frames from one port to another only when it is promiscuous.
    // SAFETY: all-zero is a valid value of this plain C struct.
    let mut membership: libc::packet_mreq = unsafe { mem::zeroed() };
    membership.mr_ifindex = index;
    membership.mr_type = libc::PACKET_MR_PROMISC as u16;
    set(&socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &membership)?;

    // SAFETY: all-zero is a valid value of this plain C struct.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = all as u16;
    address.sll_ifindex = index;
    let length = mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is a sockaddr_ll of the length given, and lives across the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(socket)
}

/// Whether an interface is up (IFF_UP, bit 0 of its flags).
fn is_up(interface: &str) -> io::Result<bool> {
    let flags = std::fs::read_to_string(format!("/sys/class/net/{interface}/flags"))?;
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).map_err(io::Error::other)?;
    Ok(flags & 1 == 1)
}

fn set<T>(socket: &OwnedFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    let length = mem::size_of::<T>() as libc::socklen_t;
    let value: *const T = value;
    // SAFETY: `value` is of the option's own type and length, and lives across the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value.cast(), length) }).map(drop)
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAC: [u8; 6] = [0xd0, 0x0d, 0x3c, 0x5a, 0x07, 0x32];

    /// A frame that a DHCP server would send; `kind` is option 53's value.
    fn frame(kind: u8, from: [u8; 6]) -> Vec<u8> {
        let mut bootp = vec![0u8; 240];
        bootp[0..3].copy_from_slice(&[2, 1, 6]);
        bootp[16..20].copy_from_slice(&[10, 88, 0, 21]);
        bootp[28..34].copy_from_slice(&MAC);
        bootp[236..240].copy_from_slice(&[99, 130, 83, 99]);
        bootp.extend([0, 54, 4, 10, 88, 0, 1, 53, 1, kind, 255]);
        let mut frame = MAC.to_vec();
        frame.extend(from);
        frame.extend([0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 88, 0, 1, 10, 88, 0, 21]);
        frame.extend([0, 67, 0, 68, 0, 0, 0, 0]);
        frame.extend(bootp);
        frame
    }

    #[test]
    fn an_ack_tells_a_lease() {
        let lease = Lease { mac: MAC, ip: [10, 88, 0, 21].into() };
        assert_eq!(read_dhcp_ack(&frame(5, [2, 0, 0, 0, 0, 1])), Some(lease));
    }

    #[test]
    fn offers_refusals_and_what_guests_send_tell_nothing() {
        assert_eq!(read_dhcp_ack(&frame(2, [2, 0, 0, 0, 0, 1])), None);
        assert_eq!(read_dhcp_ack(&frame(6, [2, 0, 0, 0, 0, 1])), None);
        assert_eq!(read_dhcp_ack(&frame(5, [0xd0, 0x0d, 1, 2, 3, 4])), None);
        let mut fragment = frame(5, [2, 0, 0, 0, 0, 1]);
        fragment[20] = 0x20;
        assert_eq!(read_dhcp_ack(&fragment), None);
    }

    #[test]
    fn every_shortened_frame_is_harmless() {
        let whole = frame(5, [2, 0, 0, 0, 0, 1]);
        for length in 0..whole.len() - 1 {
            assert_eq!(read_dhcp_ack(&whole[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_frame_is_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0usize..320, value: u8) {
            let _ = read_dhcp_ack(&bytes);
            let mut bent = frame(5, [2, 0, 0, 0, 0, 1]);
            if at < bent.len() { bent[at] = value; }
            let _ = read_dhcp_ack(&bent);
            let _ = read_arp(&String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn the_arp_table_tells_complete_entries() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     10.88.0.21       0x1         0x2         d0:0d:3c:5a:07:32     *        ibr0\n\
                     10.88.0.22       0x1         0x0         00:00:00:00:00:00     *        ibr0\n";
        assert_eq!(read_arp(table), [Lease { mac: MAC, ip: [10, 88, 0, 21].into() }]);
    }

    #[test]
    fn hardware_addresses() {
        assert_eq!(parse_mac("D0:0D:3C:5A:07:32"), Some(MAC));
        assert_eq!(format_mac(MAC), "d0:0d:3c:5a:07:32");
        for bad in [
            "",
            "d0:0d:3c:5a:07",
            "d0:0d:3c:5a:07:32:00",
            "01:00:00:00:00:00",
            "d0-0d-3c-5a-07-32",
            "+0:0d:3c:5a:07:32",
        ] {
            assert_eq!(parse_mac(bad), None, "{bad}");
        }
    }

    /// The kernel refuses a filter that is not sound; needs CAP_NET_RAW.
    #[test]
    fn the_listener_opens_where_it_may() {
        match open("lo") {
            Ok(_) => {}
            Err(error) => eprintln!("SKIPPED: no raw socket here: {error}"),
        }
    }
}
