#!/bin/sh
# Installs what compiling llama.cpp takes beyond Rust, gcc and make, where it is missing and may be installed;
# otherwise names the packages. Says nothing where all is there.
set -eu

packages=""
command -v cmake >/dev/null || packages="$packages cmake"
command -v g++ >/dev/null || packages="$packages g++"
has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    # not libclang-cpp, which other packages bring along
    find /usr/lib /usr/local/lib \( -name 'libclang.so*' -o -name 'libclang-[0-9]*.so*' \) -print -quit 2>/dev/null |
        grep -q .
}
has_libclang || packages="$packages libclang-dev"
[ -z "$packages" ] && exit 0

as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null && { [ -z "$as_root" ] || $as_root true 2>/dev/null; }; then
    echo "installing$packages" >&2
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    if $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null; then
        exit 0
    fi
fi
echo "missing:$packages" >&2
echo "hint: install them, on Debian or Ubuntu with: sudo apt-get install$packages" >&2
exit 1
