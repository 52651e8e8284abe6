# The three programs as processes: configuration, start, stop. Sourced after common.sh; $STATE is the directory for files,
# HYPERVISOR_URI and BRIDGE (or nothing) say what the node uses.

CLC_PORT=${IRONBARK_PORT:-8773}
CC_PORT=$((CLC_PORT + 1))
NC_PORT=$((CLC_PORT + 2))
CC_URL=http://127.0.0.1:$CC_PORT/axis2/services/EucalyptusCC
NC_URL=http://127.0.0.1:$NC_PORT/axis2/services/EucalyptusNC

# write_configs: three files; those that are there stay as they are, so that one may edit them.
write_configs() {
    local bridge=
    [ -z "${BRIDGE:-}" ] || bridge="bridge = \"$BRIDGE\""
    write_once clc.toml <<EOT
listen = "127.0.0.1:$CLC_PORT"
state_dir = "clc"
url = "http://127.0.0.1:$CLC_PORT/services/Eucalyptus"
region = "ironbark"
EOT
    write_once cc.toml <<EOT
name = "cluster1"
listen = "127.0.0.1:$CC_PORT"
state_dir = "cc"
cloud_cert = "clc/cert.pem"

[network]
mode = "SYSTEM"
${BRIDGE:+dhcp_leases = \"$STATE/dnsmasq.leases\"}
EOT
    write_once nc.toml <<EOT
name = "n1"
listen = "127.0.0.1:$NC_PORT"
state_dir = "nc"
cluster_cert = "cc/cert.pem"

[hypervisor]
uri = "$HYPERVISOR_URI"
kind = "auto"
$bridge

[images]
allow = ["file:$GUEST", "http"]
EOT
}

write_once() { if [ -e "$STATE/$1" ]; then cat >/dev/null; else cat >"$STATE/$1"; fi; }

# make_keys: each tier's identity, and the administrator's credentials.
make_keys() {
    local tier
    for tier in clc cc nc; do
        "$BIN/ironbark-$tier" --config "$STATE/$tier.toml" keys >>"$STATE/$tier.log" 2>&1 ||
            die "$tier could not make its keys: $(tail -n 1 "$STATE/$tier.log")"
    done
    if [ ! -e "$STATE/credentials/eucarc" ]; then
        "$BIN/ironbark-clc" --config "$STATE/clc.toml" init --credentials "$STATE/credentials" >>"$STATE/clc.log" 2>&1 ||
            die "clc could not make the administrator's credentials: $(tail -n 1 "$STATE/clc.log")"
    fi
    # The same with the commands' path. It looks for its key and certificate beside itself.
    (umask 077 && { cat "$STATE/credentials/eucarc" && echo "export PATH=\"$STATE/bin:\$PATH\""; } >"$STATE/eucarc")
    local file
    for file in "$STATE"/credentials/*.pem; do ln -sfn "credentials/$(basename "$file")" "$STATE/$(basename "$file")"; done
}

# tier_pid TIER: the pid of our running daemon. A pid file alone proves nothing: pids are used again.
tier_pid() {
    local pid
    pid=$(cat "$STATE/$1.pid" 2>/dev/null) || return 1
    [[ $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") == *"ironbark-$1 --config $STATE/$1.toml "* ]] || return 1
    echo "$pid"
}

# start_tier TIER PORT
start_tier() {
    local tier=$1 port=$2
    if tier_pid "$tier" >/dev/null; then
        say "$tier runs already (pid $(tier_pid "$tier"))"
        return
    fi
    if listens "$port"; then die "port $port is taken by another program; stop that, or choose others with IRONBARK_PORT=NUMBER"; fi
    # A session of its own: the cloud stays when this terminal goes.
    setsid "$BIN/ironbark-$tier" --config "$STATE/$tier.toml" run </dev/null >>"$STATE/$tier.log" 2>&1 &
    echo $! >"$STATE/$tier.pid"
    wait_for 30 listens_or_gone "$tier" "$port" || die "$tier does not listen on port $port after 30 s; see $STATE/$tier.log"
    tier_pid "$tier" >/dev/null || die "$tier ended: $(tail -n 1 "$STATE/$tier.log")"
    say "$tier runs (pid $(tier_pid "$tier"), port $port, log $STATE/$tier.log)"
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
listens_or_gone() { listens "$2" || ! kill -0 "$(cat "$STATE/$1.pid")" 2>/dev/null; }

# stop_tier TIER: orderly, and by force after a while.
stop_tier() {
    local pid
    pid=$(tier_pid "$1") || return 0
    say "stopping $1 (pid $pid)"
    kill "$pid"
    wait_for 20 test ! -d "/proc/$pid" || { say "$1 does not end by itself; killing it"; kill -9 "$pid"; }
    rm -f "$STATE/$1.pid"
}
