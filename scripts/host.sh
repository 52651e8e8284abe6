# The machine: packages, libvirt's daemons, the hypervisor to use. Sourced after common.sh. What it starts or changes it writes
# down in $STARTED, if that is set, so that `undo_host` can put it back.

# What running the cloud needs, and what building it needs (all of it Debian 12's).
RUN_PACKAGES="qemu-utils qemu-system-common qemu-system-data qemu-system-x86 libvirt-daemon-system libvirt-clients
    dnsmasq-base nftables iproute2 e2fsprogs genisoimage procps"
BUILD_PACKAGES="gcc libc6-dev pkg-config libvirt-dev fakeroot ca-certificates"
# The first Rust with everything that the code uses.
RUST_NEEDED=1.88

note_started() { if [ -n "${STARTED:-}" ]; then echo "$*" >>"$STARTED"; fi; }
was_started() { [ -n "${STARTED:-}" ] && grep -qx -- "$*" "$STARTED" 2>/dev/null; }

has_package() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# has_rust: a cargo that is new enough.
has_rust() {
    local version
    version=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) || return 1
    [ -n "$version" ] && [ "$(printf '%s\n' "$RUST_NEEDED" "$version" | sort -V | head -n 1)" = "$RUST_NEEDED" ]
}

# install_packages PACKAGE...: those that are missing, if any.
install_packages() {
    local missing=() package
    for package in "$@"; do has_package "$package" || missing+=("$package"); done
    # Debian 12 has a current Rust under these names; a Rust of one's own (rustup) is as good.
    has_rust || missing+=(rustc-web cargo-web)
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "needs Debian's packages: ${missing[*]} (there is no apt-get here)"
    is_root || die "needs packages that only root can install: apt-get install ${missing[*]}"
    say "installing ${missing[*]}"
    apt_install "${missing[@]}"
    has_rust || die "needs Rust $RUST_NEEDED or newer (found: $(cargo --version 2>/dev/null || echo none)): install it with rustup"
}

# apt_install PACKAGE...: unattended. QEMU's parts must be of one version: a newer qemu-utils from backports would keep
# the others from being installed, so on Debian 12 all are taken from there, if need be older than what is there.
apt_install() {
    local codename names=() package guard=
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    for package in "$@"; do
        case $codename/$package in
            bookworm/qemu-system-*) names+=("$package/bookworm") ;;
            *) names+=("$package") ;;
        esac
    done
    case $codename/" $* " in bookworm/*" qemu-system-"*) names+=(qemu-utils/bookworm) ;; esac
    # Where no init runs, packages must not try to start their services.
    if [ ! -d /run/systemd/system ] && [ ! -e /usr/sbin/policy-rc.d ]; then
        guard=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >"$guard"
        chmod 755 "$guard"
    fi
    local status=0 log
    log=$(mktemp)
    {
        apt-get -qq -o DPkg::Lock::Timeout=300 update &&
            DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y \
                --no-install-recommends --allow-downgrades "${names[@]}"
    } </dev/null >"$log" 2>&1 || status=$?
    [ -z "$guard" ] || rm -f "$guard"
    [ "$status" = 0 ] || { tail -n 20 "$log" >&2; rm -f "$log"; die "apt-get could not install: $*"; }
    rm -f "$log"
}

# start_libvirt: virtlogd and libvirtd, unless they run.
start_libvirt() {
    if [ ! -S /run/libvirt/virtlogd-sock ] || ! pidof virtlogd >/dev/null; then start_daemon virtlogd; fi
    if ! timeout 10 virsh -q -c qemu:///system uri >/dev/null 2>&1; then start_daemon libvirtd; fi
    wait_for 20 timeout 10 virsh -q -c qemu:///system uri >/dev/null 2>&1 || die "libvirtd does not answer; look at its log (journalctl -u libvirtd, or run: libvirtd)"
}

start_daemon() {
    say "starting $1"
    if [ -d /run/systemd/system ]; then systemctl start "$1"; else "$1" -d; fi
    note_started "daemon $1"
}

stop_daemon() {
    if [ -d /run/systemd/system ]; then
        systemctl stop "$1" || true
    elif [ -s "/run/$1.pid" ] && [ "$(cat "/proc/$(cat "/run/$1.pid")/comm" 2>/dev/null)" = "$1" ]; then
        kill "$(cat "/run/$1.pid")"
        wait_for 10 test ! -e "/run/$1.pid" || true
    fi
}

# allow_kvm: /dev/kvm belongs to group kvm, as udev has it; otherwise libvirt probes QEMU anew at each start of a guest,
# which takes over 4 s.
allow_kvm() {
    [ -c /dev/kvm ] && [ "$(stat -c %G /dev/kvm)" = root ] && getent group kvm >/dev/null || return 0
    note_started "kvm $(stat -c '%a %u:%g' /dev/kvm)"
    chgrp kvm /dev/kvm && chmod 660 /dev/kvm
}

# libvirt_can_search DIR: whether libvirt's QEMU can come to files in it.
libvirt_can_search() {
    getent passwd libvirt-qemu >/dev/null || return 0
    setpriv --reuid libvirt-qemu --regid "$(id -g libvirt-qemu)" --clear-groups test -x "$1"
}

# undo_host: what this run's predecessors started or changed.
undo_host() {
    if was_started "daemon libvirtd"; then say "stopping libvirtd"; stop_daemon libvirtd; fi
    if was_started "daemon virtlogd"; then say "stopping virtlogd"; stop_daemon virtlogd; fi
    local mode owner
    while read -r _ mode owner; do
        [ -c /dev/kvm ] && chown "$owner" /dev/kvm && chmod "$mode" /dev/kvm
    done < <(grep '^kvm ' "${STARTED:-/dev/null}" 2>/dev/null)
}
