#!/bin/sh
# Installs what some tests take, where it is missing and may be installed. Of pages: Chromium from Debian, what drives it from
# PyPI. Of hosted models: servers, built from source.
set -u
cd "$(dirname "$0")/.."
has_browser() {
    [ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null || command -v chromium-browser >/dev/null ||
        command -v google-chrome >/dev/null
}
missing=0
{ has_browser || ./tools/install.sh chromium; } && ./tools/from-pypi.sh pages >/dev/null || missing=1
./tools/servers.sh || missing=1
exit $missing
