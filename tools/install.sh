#!/bin/sh
# Installs packages of Debian's where that is allowed; otherwise names them.
#
#   tools/install.sh PACKAGE…
set -eu

as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null && { [ -z "$as_root" ] || $as_root true 2>/dev/null; }; then
    echo "installing $*" >&2
    export DEBIAN_FRONTEND=noninteractive
    if $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null; then
        exit 0
    fi
fi
echo "missing: $*" >&2
echo "hint: install them, on Debian or Ubuntu with: sudo apt-get install $*" >&2
exit 1
