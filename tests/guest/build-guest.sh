#!/bin/sh
# build-guest.sh - build a tiny Linux guest for testing a cloud, from Debian packages only.
#
#   build-guest.sh OUTDIR
#
# Does nothing when OUTDIR holds what this very script made with these very settings before (OUTDIR/stamp);
# remove the stamp to build with the newest packages.
#
# Makes, in OUTDIR:
#   vmlinuz        Debian's cloud kernel, untouched              (EKI)
#   initrd.img     virtio modules + busybox, mounts root=        (ERI)
#   root.img       one bare ext4 file system, no partitions      (EMI, needs the two above)
#   disk.img       whole disk: MBR + GRUB + one ext4 partition   (boots by itself, SeaBIOS)
#   disk.qcow2     disk.img compressed, as cloud images are published
#
# No root, no loop device, no mount, no chroot and no running of maintainer scripts: packages are
# only downloaded (apt-get download) and unpacked (dpkg -x), file systems are filled by mke2fs -d,
# GRUB is put in place by copying two files to fixed sectors.
#
# Needs on the build machine: apt, dpkg, e2fsprogs; qemu-img if disk.qcow2 is wanted; fakeroot when
# not root.  A Debian 12 (or newer) apt configuration.
#
# Two busyboxes: the static one in the initrd (and to run cpio and depmod here), the dynamic one,
# smaller and able to look names up, in the root file system, which has a libc for dropbear anyway.
#
# Settings (environment):
#   ROOT_MB=24             size of root.img
#   DISK_MB=48             size of disk.img
#   CONSOLE_PASSWORD=      root's password on the serial console; empty = no console login
#   CACHE=OUTDIR/cache     where downloaded .deb files are kept
#
# Kernel command-line words that the guest understands:
#   root=/dev/XXX | root=LABEL=XXX     where the root file system is
#   guest.metadata=off                 do not ask 169.254.169.254
#
# What the guest tells on its console, for people and tests to wait for (each line ends " at SECONDS s"):
#   guest: boot number N               times this disk was booted, counted on the disk
#   guest: seed disk /dev/XXX | no seed disk
#   guest: instance-id ID from seed|metadata | no instance-id
#   guest: keys N                      public keys installed for root
#   guest: user-data N bytes sha256 HEX     on the first boot of an instance; if it is a script then its
#                                      output follows, and: user-data finished, status N
#   guest: address A.B.C.D/N
#   guest: ssh host key FINGERPRINT
#   guest: ready
#   guest: going down
set -eu

OUT=${1:?usage: build-guest.sh OUTDIR}
ROOT_MB=${ROOT_MB:-24}
DISK_MB=${DISK_MB:-48}
CONSOLE_PASSWORD=${CONSOLE_PASSWORD:-}

mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)

# What the result depends on.  The packages are not part of it: a rebuild would need the network.
stamp() {
    { cat "$0"; echo "$ROOT_MB $DISK_MB $CONSOLE_PASSWORD"; } | sha256sum | cut -d ' ' -f 1
}
complete() {
    for f in vmlinuz initrd.img root.img disk.img; do [ -s "$OUT/$f" ] || return 1; done
}
if complete && [ "$(cat "$OUT/stamp" 2>/dev/null)" = "$(stamp)" ]; then
    echo "build-guest: $OUT is up to date"
    exit 0
fi

# Files in the images must belong to root.
if [ "$(id -u)" != 0 ]; then
    command -v fakeroot >/dev/null || { echo "build-guest: needs the package fakeroot when not run by root" >&2; exit 1; }
    exec fakeroot "$0" "$OUT"
fi

CACHE=${CACHE:-$OUT/cache}
WORK=$OUT/work
rm -rf "$WORK" "$OUT/stamp"
mkdir -p "$CACHE" "$WORK"

BUSYBOX=$WORK/static/bin/busybox
ROOT_LABEL=guestroot

# Modules put in the initrd and loaded at boot (dependencies are found by depmod).
MODULES="virtio_pci virtio_blk virtio_net virtio_scsi sd_mod virtio-rng virtio_balloon button evdev isofs"

say() { echo "build-guest: $*"; }

# ---------------------------------------------------------------------------------------------
# Packages

# fetch PACKAGE...: bring each package's .deb into the cache, unless one is there.
fetch() {
    for p in "$@"; do
        set -- "$CACHE/${p}"_*.deb
        [ -e "$1" ] && continue
        # apt-get download drops to user _apt, who cannot write here: stay the present user.
        (cd "$CACHE" && apt-get -qq -o APT::Sandbox::User=root download "$p")
    done
}

# unpack PACKAGE DIR
unpack() {
    set -- "$CACHE/${1}"_*.deb "$2"
    dpkg -x "$1" "$2"
}

# linux-image-cloud-amd64 is empty and depends on the newest linux-image-VERSION-cloud-amd64.
kernel_package() {
    apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# ---------------------------------------------------------------------------------------------
# What runs inside the guest

write_initrd_init() {   # $1 = initrd tree
    cat > "$1/init" <<'EOF'
#!/bin/busybox sh
# First program of the guest: load drivers, find the root file system, go there.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
exec </dev/console >/dev/console 2>&1
read -r up _ </proc/uptime
echo "guest: initrd at $up s"
for m in $(cat /etc/modules); do modprobe "$m" 2>/dev/null || echo "guest: no module $m"; done

root=
for word in $(cat /proc/cmdline); do
    case $word in root=*) root=${word#root=} ;; esac
done

tries=0
while [ $tries -lt 100 ]; do
    case $root in
        LABEL=*|UUID=*) dev=$(findfs "$root" 2>/dev/null) ;;
        *) dev=$root ;;
    esac
    [ -n "$dev" ] && [ -b "$dev" ] && mount -t ext4 "$dev" /root && break
    tries=$((tries + 1)); sleep 0.1
done
if [ ! -x /root/sbin/init ]; then
    echo "guest: no root file system on '$root'; block devices:"
    cat /proc/partitions
    exec sh
fi
umount /proc /sys
mount -o move /dev /root/dev
exec switch_root /root /sbin/init
EOF
    chmod 755 "$1/init"
}

write_root_files() {   # $1 = root tree
    cat > "$1/etc/inittab" <<'EOF'
::sysinit:/etc/rc.boot
::once:/etc/rc.cloud
ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100
::ctrlaltdel:/sbin/reboot
::shutdown:/etc/rc.halt
EOF

    cat > "$1/etc/rc.boot" <<'EOF'
#!/bin/sh
# Everything that does not need the network.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mkdir -p /dev/pts /run/lock
mount -t devpts -o mode=620 devpts /dev/pts
mount -o remount,rw /
mkdir -p /var/lib/guest
boots=$(($(cat /var/lib/guest/boots 2>/dev/null || echo 0) + 1))
echo "$boots" >/var/lib/guest/boots.new
sync
mv /var/lib/guest/boots.new /var/lib/guest/boots
sync
read -r up _ </proc/uptime
echo "guest: boot number $boots at $up s" >/dev/console
hostname "$(cat /etc/hostname)"
ip link set lo up
# The power button (virsh shutdown, virsh reboot) arrives as an input event.
acpid -l /run/acpid.log
EOF

    cat > "$1/etc/rc.cloud" <<'EOF'
#!/bin/sh
# Who am I, who may log in, what shall I run: from the seed disk, or else from the metadata service.  Then
# network and SSH.  One line on the console for each step.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
MD=http://169.254.169.254/latest
STATE=/var/lib/guest
SEED=/run/seed
say() { read -r up _ </proc/uptime; echo "guest: $* at $up s" >/dev/console; }
# Debian's busybox wget crashes when given -T (time limit), hence timeout(1).
md() { timeout 2 wget -q -O - "$MD/$1" 2>/dev/null; }

# mount_seed: find the NoCloud seed disk by its label, or else by what is on it.
mount_seed() {
    mkdir -p $SEED
    for dev in $(findfs LABEL=cidata 2>/dev/null) /dev/vd? /dev/sd? /dev/sr?; do
        [ -b "$dev" ] && mount -t iso9660 -o ro "$dev" $SEED 2>/dev/null || continue
        [ -f $SEED/meta-data ] && say "seed disk $dev" && return 0
        umount $SEED
    done
    say "no seed disk"
    return 1
}

# seed_value KEY: the value of `KEY: "value"` in meta-data.
seed_value() { sed -n "s/^$1: *\"\{0,1\}\([^\"]*\)\"\{0,1\} *\$/\1/p" $SEED/meta-data | head -n 1; }

# read_seed: fills id, name and $STATE/{keys,user-data}.new.
read_seed() {
    id=$(seed_value instance-id)
    name=$(seed_value local-hostname)
    # The list below `public-keys:`, one `  - "key"` a line.
    sed -n '/^public-keys:/,/^[^ p]/s/^ *- *"\{0,1\}\([^"]*\)"\{0,1\} *$/\1/p' $SEED/meta-data >$STATE/keys.new
    cat $SEED/user-data >$STATE/user-data.new 2>/dev/null
    umount $SEED
}

# read_metadata: the same from the metadata service, in few and short tries: where there is one, it answers
# at once.
read_metadata() {
    for try in 1 2 3; do
        id=$(md meta-data/instance-id) && [ -n "$id" ] && break
        sleep 0.5
    done
    [ -n "$id" ] || return 1
    name=$(md meta-data/local-hostname)
    md meta-data/public-keys/0/openssh-key >$STATE/keys.new
    md user-data >$STATE/user-data.new
    return 0
}

# A new instance-id means a new machine made from this image: new host key, run user-data.
first_boot_of() {
    rm -f /etc/dropbear/*_host_key
    mv $STATE/user-data.new $STATE/user-data
    say "user-data $(stat -c %s $STATE/user-data) bytes sha256 $(sha256sum $STATE/user-data | cut -c 1-64)"
    echo "$1" >$STATE/instance-id
    sync
    [ "$(head -c 2 $STATE/user-data)" = '#!' ] || return 0
    chmod 700 $STATE/user-data
    $STATE/user-data >/dev/console 2>&1
    say "user-data finished, status $?"
}

network() {
    [ -e /sys/class/net/eth0 ] || return 0
    ip link set eth0 up
    udhcpc -i eth0 -b -t 10 -T 1 -A 1 -s /etc/udhcpc.script -x hostname:"$(hostname)" \
        -p /run/udhcpc.pid >/dev/null 2>&1
    say "address $(ip -4 -o addr show dev eth0 | awk '{print $4}')"
}

mkdir -p /root/.ssh && chmod 700 /root/.ssh
id=; name=; from=
umask 077
if mount_seed; then
    from=seed
    read_seed
    [ -n "$name" ] && hostname "${name%%.*}"
    network
else
    network
    grep -q guest.metadata=off /proc/cmdline || { read_metadata && from=metadata; }
    [ -n "$name" ] && hostname "${name%%.*}"
fi
if [ -n "$id" ]; then
    say "instance-id $id from $from"
    mv $STATE/keys.new /root/.ssh/authorized_keys
    say "keys $(grep -c . /root/.ssh/authorized_keys)"
    [ "$(cat $STATE/instance-id 2>/dev/null)" = "$id" ] || first_boot_of "$id"
else
    say "no instance-id"
fi

mkdir -p /etc/dropbear
key=/etc/dropbear/dropbear_ed25519_host_key
[ -s $key ] || dropbearkey -t ed25519 -f $key >/dev/null 2>&1
say "ssh host key $(dropbearkey -y -f $key | sed -n 's/^Fingerprint: //p')"
dropbear -s -r $key -P /run/dropbear.pid
sync
say ready
EOF

    cat > "$1/etc/rc.halt" <<'EOF'
#!/bin/sh
read -r up _ </proc/uptime
echo "guest: going down at $up s" >/dev/console
sync
mount -o remount,ro / 2>/dev/null
EOF

    cat > "$1/etc/udhcpc.script" <<'EOF'
#!/bin/sh
# udhcpc calls this with the lease in the environment.
case $1 in
deconfig)
    ip addr flush dev "$interface"; ip link set "$interface" up ;;
bound|renew)
    ip addr flush dev "$interface"
    ip addr add "$ip/${mask:-24}" dev "$interface"
    [ -n "${mtu:-}" ] && ip link set "$interface" mtu "$mtu"
    for r in ${router:-}; do ip route add default via "$r" dev "$interface" && break; done
    : >/etc/resolv.conf
    [ -n "${domain:-}" ] && echo "search $domain" >>/etc/resolv.conf
    for d in ${dns:-}; do echo "nameserver $d" >>/etc/resolv.conf; done ;;
esac
EOF

    # busybox acpid runs this file when the power button is pressed.
    mkdir -p "$1/etc/acpi/PWRF"
    printf '#!/bin/sh\nexec /sbin/poweroff\n' > "$1/etc/acpi/PWRF/00000080"

    if [ -n "$CONSOLE_PASSWORD" ]; then
        hash=$("$BUSYBOX" mkpasswd -m sha512 "$CONSOLE_PASSWORD")
    else
        hash='*'
    fi
    echo "root:$hash:19000:0:99999:7:::" > "$1/etc/shadow"
    echo 'root:x:0:0:root:/root:/bin/sh' > "$1/etc/passwd"
    echo 'root:x:0:' > "$1/etc/group"
    echo '/bin/sh' > "$1/etc/shells"
    echo 'guest' > "$1/etc/hostname"
    printf '127.0.0.1 localhost\n::1 localhost\n' > "$1/etc/hosts"
    printf 'Tiny Debian-kernel guest \\n \\l\n' > "$1/etc/issue"
    chmod 600 "$1/etc/shadow"
    chmod 755 "$1"/etc/rc.* "$1/etc/udhcpc.script" "$1/etc/acpi/PWRF/00000080"
}

# ---------------------------------------------------------------------------------------------
# Trees and images

build_initrd() {   # kernel tree in $WORK/kernel
    t=$WORK/initrd
    mkdir -p "$t/bin" "$t/dev" "$t/proc" "$t/sys" "$t/root" "$t/etc"
    cp "$BUSYBOX" "$t/bin/busybox"
    write_initrd_init "$t"
    echo "$MODULES" > "$t/etc/modules"

    "$BUSYBOX" depmod -b "$WORK/kernel" "$VERSION"
    src=$WORK/kernel/lib/modules/$VERSION
    dst=$t/lib/modules/$VERSION
    mkdir -p "$dst"
    # modules.dep: "path/name.ko: path/needed.ko ..."; take the closure, copy it, index again.
    want=$MODULES; seen=
    while [ -n "$want" ]; do
        next=
        for m in $want; do
            line=$(grep "/$m\.ko" "$src/modules.dep" | grep "^[^:]*/$m\.ko" | head -n 1)
            [ -n "$line" ] || continue        # built into the kernel
            for f in $(echo "$line" | tr -d :); do
                case " $seen " in *" $f "*) continue ;; esac
                seen="$seen $f"
                mkdir -p "$dst/$(dirname "$f")"
                cp "$src/$f" "$dst/$f"
                next="$next $(basename "$f" .ko)"
            done
        done
        want=$next
    done
    "$BUSYBOX" depmod -b "$t" "$VERSION"
    (cd "$t" && find . | sort | "$BUSYBOX" cpio -o -H newc 2>/dev/null | gzip -9n) > "$OUT/initrd.img"
}

build_root_tree() {
    t=$WORK/root
    for d in bin sbin usr/bin usr/sbin dev proc sys run tmp root var/lib etc/dropbear lib64 lib/x86_64-linux-gnu; do
        mkdir -p "$t/$d"
    done
    chmod 1777 "$t/tmp"; chmod 700 "$t/root"
    for p in busybox dropbear-bin libc6 libcrypt1 libtomcrypt1 libtommath1 libgmp10 zlib1g; do
        unpack "$p" "$WORK/pkg"
    done
    cp "$WORK/pkg/bin/busybox" "$t/bin/"
    for name in $("$BUSYBOX" --list); do
        [ "$name" = busybox ] || ln -s busybox "$t/bin/$name"
    done
    for name in init getty reboot poweroff halt; do ln -s ../bin/busybox "$t/sbin/$name"; done
    cp "$WORK/pkg/usr/sbin/dropbear" "$t/usr/sbin/"
    cp "$WORK/pkg/usr/bin/dropbearkey" "$t/usr/bin/"
    for so in libc.so.6 libresolv.so.2 libcrypt.so.1 libz.so.1 libtomcrypt.so.1 libtommath.so.1 libgmp.so.10; do
        f=$(find "$WORK/pkg/lib" "$WORK/pkg/usr/lib" -name "$so" | head -n 1)
        cp -L "$f" "$t/lib/x86_64-linux-gnu/$so"
    done
    f=$(find "$WORK/pkg" -name ld-linux-x86-64.so.2 | head -n 1)
    cp -L "$f" "$t/lib64/ld-linux-x86-64.so.2"
    write_root_files "$t"
}

# make_ext4 FILE MEGABYTES TREE: plain features, which GRUB 2.06 and every kernel can read.
make_ext4() {
    rm -f "$1"
    mke2fs -q -t ext4 -b 4096 -O none,extents,dir_index,filetype,sparse_super,large_file \
        -L "$ROOT_LABEL" -m 0 -d "$3" "$1" "$2M"
}

# le32 N: N as four little-endian bytes, in printf's octal notation
le32() {
    printf '\\%03o\\%03o\\%03o\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}

build_disk() {
    t=$WORK/root
    mkdir -p "$t/boot"
    cp "$OUT/vmlinuz" "$OUT/initrd.img" "$t/boot/"
    part_mb=$((DISK_MB - 1))
    make_ext4 "$WORK/part.img" "$part_mb" "$t"

    # GRUB with its whole configuration built in.
    for p in grub-pc-bin grub-common libdevmapper1.02.1; do unpack "$p" "$WORK/grub"; done
    cat > "$WORK/grub.cfg" <<EOF
serial --unit=0 --speed=115200
terminal_output serial
echo "grub: loading the kernel"
set root=(hd0,msdos1)
linux /boot/vmlinuz root=LABEL=$ROOT_LABEL console=ttyS0 panic=5 quiet
initrd /boot/initrd.img
boot
EOF
    g=$WORK/grub/usr/lib/grub/i386-pc
    LD_LIBRARY_PATH=$WORK/grub/lib/x86_64-linux-gnu "$WORK/grub/usr/bin/grub-mkimage" -O i386-pc \
        -d "$g" -p '(hd0,msdos1)/boot/grub' -c "$WORK/grub.cfg" -o "$WORK/core.img" \
        biosdisk part_msdos ext2 serial terminal echo linux boot
    core_sectors=$(($(stat -c %s "$WORK/core.img") / 512))
    [ "$core_sectors" -lt 2047 ] || { say "GRUB's core.img is too large"; exit 1; }

    # Sector 0: boot.img's code (first 440 bytes) and one partition; sector 1 on: core.img (boot.img
    # looks for it there); sector 2048 on: the partition.
    rm -f "$OUT/disk.img"
    truncate -s "${DISK_MB}M" "$OUT/disk.img"
    dd if="$g/boot.img" of="$OUT/disk.img" bs=440 count=1 conv=notrunc status=none
    sectors=$((part_mb * 2048))
    # boot flag, CHS unused, type 83 Linux, CHS unused, first sector, number of sectors
    printf "\\200\\376\\377\\377\\203\\376\\377\\377$(le32 2048)$(le32 $sectors)" |
        dd of="$OUT/disk.img" bs=1 seek=446 conv=notrunc status=none
    printf '\125\252' | dd of="$OUT/disk.img" bs=1 seek=510 conv=notrunc status=none
    dd if="$WORK/core.img" of="$OUT/disk.img" bs=512 seek=1 conv=notrunc status=none
    dd if="$WORK/part.img" of="$OUT/disk.img" bs=1M seek=1 conv=notrunc,sparse status=none

    if command -v qemu-img >/dev/null; then
        qemu-img convert -q -f raw -O qcow2 -c "$OUT/disk.img" "$OUT/disk.qcow2"
    fi
}

# ---------------------------------------------------------------------------------------------

KPKG=$(kernel_package)
[ -n "$KPKG" ] || { say "apt does not know linux-image-cloud-amd64: run apt-get update (as root) first" >&2; exit 1; }
say "downloading $KPKG and friends"
fetch "$KPKG" busybox-static busybox dropbear-bin libc6 libcrypt1 libtomcrypt1 libtommath1 libgmp10 zlib1g \
    grub-pc-bin grub-common libdevmapper1.02.1

say "kernel"
unpack busybox-static "$WORK/static"
unpack "$KPKG" "$WORK/kernel"
VERSION=$(ls "$WORK/kernel/lib/modules")
cp "$WORK/kernel/boot/vmlinuz-$VERSION" "$OUT/vmlinuz"

say "initrd"
build_initrd

say "root file system"
build_root_tree
make_ext4 "$OUT/root.img" "$ROOT_MB" "$WORK/root"

say "whole disk"
build_disk

rm -rf "$WORK"
stamp > "$OUT/stamp"
ls -ls "$OUT"
