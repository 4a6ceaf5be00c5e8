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
# shellcheck disable=SC2086
[ -z "$packages" ] || ./tools/install.sh $packages
