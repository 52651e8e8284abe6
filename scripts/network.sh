# The guests' network on one machine (SYSTEM mode): a bridge, DHCP on it, the way out by NAT. Sourced after common.sh and
# host.sh; $STATE is the directory for files. What was chosen is in $STATE/network: BRIDGE and NET (the first three
# numbers of the network). Root only.

# network_up: makes what is missing of it.
network_up() {
    if [ ! -s "$STATE/network" ]; then
        local bridge net
        bridge=$(free_bridge) || die "ibr0 to ibr9 are all taken by others"
        net=$(free_net) || die "10.213.0.0/24 to 10.222.0.0/24 are all in use on this machine"
        printf 'BRIDGE=%s\nNET=%s\n' "$bridge" "$net" >"$STATE/network"
    fi
    . "$STATE/network"
    if ! ip link show "$BRIDGE" >/dev/null 2>&1; then
        say "making bridge $BRIDGE with $NET.1/24"
        ip link add "$BRIDGE" type bridge
        # Guests wait for no spanning tree, and the bridge's address does not change with its members.
        ip link set "$BRIDGE" type bridge forward_delay 0 stp_state 0
        ip link set "$BRIDGE" address "$(printf '52:54:00:%02x:%02x:%02x' $((RANDOM % 256)) $((RANDOM % 256)) $((RANDOM % 256)))"
    fi
    ip addr replace "$NET.1/24" dev "$BRIDGE"
    ip link set "$BRIDGE" up
    start_dnsmasq
    masquerade
}

free_bridge() {
    local number
    for number in 0 1 2 3 4 5 6 7 8 9; do
        if ! ip link show "ibr$number" >/dev/null 2>&1; then echo "ibr$number"; return; fi
    done
    return 1
}

free_net() {
    local number
    for number in {213..222}; do
        if [ -z "$(ip -4 route show root "10.$number.0.0/24" 2>/dev/null)$(ip -4 addr show to "10.$number.0.0/24")" ]; then
            echo "10.$number.0"
            return
        fi
    done
    return 1
}

dnsmasq_runs() {
    local pid
    pid=$(cat "$STATE/dnsmasq.pid" 2>/dev/null) && grep -qF -- "$STATE/dnsmasq.pid" "/proc/$pid/cmdline" 2>/dev/null
}

# Without --no-ping each first address takes 3 s longer; nobody else gives out addresses on this bridge.
start_dnsmasq() {
    if dnsmasq_runs; then return; fi
    say "starting DHCP on $BRIDGE ($NET.100 to $NET.250)"
    # The name servers of this machine that a guest can reach too.
    local servers
    servers=$(sed -n 's/^nameserver \([0-9.]*\)$/\1/p' /etc/resolv.conf 2>/dev/null | grep -v '^127\.' | paste -sd , -) || true
    dnsmasq --conf-file=/dev/null --port=0 --interface="$BRIDGE" --except-interface=lo --bind-interfaces \
        --dhcp-range="$NET.100,$NET.250,1h" --dhcp-authoritative --no-ping --dhcp-option=3,"$NET.1" ${servers:+--dhcp-option=6,"$servers"} \
        --dhcp-leasefile="$STATE/dnsmasq.leases" --pid-file="$STATE/dnsmasq.pid" --log-facility="$STATE/dnsmasq.log" \
        --user=root --group=root || die "dnsmasq did not start; is another DHCP server bound to port 67 of every interface?"
    chmod 644 "$STATE/dnsmasq.leases"
}

# masquerade: guests reach the outside as this machine.
masquerade() {
    local forward
    forward=$(cat /proc/sys/net/ipv4/ip_forward)
    if [ "$forward" = 0 ]; then
        note_started "ip_forward 0"
        echo 1 >/proc/sys/net/ipv4/ip_forward
    fi
    nft -f - <<NFT
table ip ironbark_$BRIDGE
delete table ip ironbark_$BRIDGE
table ip ironbark_$BRIDGE {
    chain postrouting {
        type nat hook postrouting priority srcnat
        ip saddr $NET.0/24 ip daddr != $NET.0/24 masquerade
    }
}
NFT
}

# network_down: removes all of it, what was made by half included.
network_down() {
    [ -s "$STATE/network" ] || return 0
    . "$STATE/network"
    say "removing bridge $BRIDGE, its DHCP server and NAT"
    if dnsmasq_runs; then
        local pid
        pid=$(cat "$STATE/dnsmasq.pid")
        kill "$pid"
        wait_for 5 test ! -e "/proc/$pid" || kill -9 "$pid"
    fi
    nft delete table ip "ironbark_$BRIDGE" 2>/dev/null || true
    if ip link show "$BRIDGE" >/dev/null 2>&1; then ip link delete "$BRIDGE"; fi
    if was_started "ip_forward 0"; then echo 0 >/proc/sys/net/ipv4/ip_forward; fi
}
