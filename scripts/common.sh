# What quickstart and check share: progress lines, paths, waiting. Sourced; sets nothing up by itself.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
case $TARGET in /*) ;; *) TARGET=$PWD/$TARGET ;; esac
PROFILE=${IRONBARK_PROFILE:-release}
BIN=$TARGET/$PROFILE
GUEST=$TARGET/guest
BEGAN=${EPOCHREALTIME/[.,]/}

# say TEXT: a progress line with the seconds since the start.
say() {
    local now=${EPOCHREALTIME/[.,]/}
    printf '[%7.1f s] %s\n' "$(((now - BEGAN) / 100000))e-1" "$*"
}

# die TEXT: the last line, on standard error.
die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

is_root() { [ "$(id -u)" = 0 ]; }

# wait_for SECONDS COMMAND...: until the command succeeds; fails when the time is over.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.3
    done
}

# build_binaries: all programs, with cargo's own progress.
build_binaries() {
    local options=()
    case $PROFILE in
        release) options=(--release) ;;
        debug) ;;
        *) die "IRONBARK_PROFILE=$PROFILE: write release or debug" ;;
    esac
    (cd "$ROOT" && CARGO_TARGET_DIR=$TARGET cargo build --locked --workspace --exclude ironbark-tests --bins "${options[@]}")
}

build_guest() { "$ROOT/tests/guest/build-guest.sh" "$GUEST" | sed 's/^/            /'; }
