#!/bin/sh
# Installs what tests of pages take, where it is missing and may be installed: Chromium from Debian, what drives it from PyPI.
set -eu
has_browser() {
    [ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null || command -v chromium-browser >/dev/null ||
        command -v google-chrome >/dev/null
}
has_browser || ./tools/install.sh chromium
./tools/from-pypi.sh pages >/dev/null
