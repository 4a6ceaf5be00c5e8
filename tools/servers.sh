#!/bin/sh
# Builds and installs what tools/servers.txt lists into target/tools/servers, in about four minutes on two cores: bin/ with
# llama-server and the libraries that both servers share, python/ with llama-cpp-python's server.
set -eu
cd "$(dirname "$0")/.."
list=tools/servers.txt
folder=$PWD/target/tools/servers
source_sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
cmp -s "$list" "$folder/list.txt" && exit 0
echo "building $folder" >&2
./tools/build-tools.sh
python3 -m pip --version >/dev/null 2>&1 || ./tools/install.sh python3-pip
rm -rf "$folder"
mkdir -p "$folder"
pip() {
    PIP_ROOT_USER_ACTION=ignore python3 -m pip "$@" --quiet --disable-pip-version-check >&2
}
package=$(sed -n 's/^\(llama-cpp-python\)\[server\]/\1/p' "$list")
pip download "$package" --no-deps --no-binary llama-cpp-python --dest "$folder"
archive=$(ls "$folder"/*.tar.gz)
echo "$source_sha256  $archive" | sha256sum --check --quiet
tar -xzf "$archive" -C "$folder"
log=$folder/cmake.log
build() {
    "$@" >>"$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }
}
# Less optimised than a server should be, and compiled in half the time.
build cmake -S "${archive%.tar.gz}/vendor/llama.cpp" -B "$folder/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON \
    -DCMAKE_CXX_FLAGS_RELEASE="-O2 -DNDEBUG" -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF \
    -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF -DCMAKE_BUILD_RPATH_USE_ORIGIN=ON
build cmake --build "$folder/build" --target llama-server llama mtmd --parallel "$(nproc)"
sed "s#^llama-cpp-python\[server\]==.*#llama-cpp-python[server] @ file://$archive#" "$list" >"$folder/requirements.txt"
CMAKE_ARGS=-DLLAMA_BUILD=OFF pip install --target "$folder/python" --requirement "$folder/requirements.txt"
mv "$folder/build/bin" "$folder/bin"
rm -rf "$folder/build" "${archive%.tar.gz}" "$archive"
# Last, so that what was interrupted is done again.
cp "$list" "$folder/list.txt"
