#!/usr/bin/env bash
# Fetch a newer Redis or Valkey than this Debian has, from one of Debian's newer suites: fetch_server.sh FOLDER SUITE
# PROGRAM. It needs a newer C library, too, so it comes with its libraries, and FOLDER/redis-server starts it with them.
# Valkey has that name, too: it is the one that the tests look for first. What is there already is not fetched again.
set -euo pipefail

FOLDER=${1:?give the folder for the program, such as build/servers/valkey}
SUITE=${2:?give a suite of Debian, such as forky}
PROGRAM=${3:?give the program: redis-server or valkey-server}
LIBRARIES="libc6 libatomic1 libcap2 libgcc-s1 libjemalloc2 liblzf1 libssl3t64 libstdc++6 libsystemd0 libzstd1 zlib1g"
# shellcheck source-path=SCRIPTDIR source=debian_packages.sh
source "${BASH_SOURCE[0]%/*}/debian_packages.sh"

fail() {
  printf '%s\n' "$1: put a redis-server yourself into $FOLDER" >&2
  exit 1
}

if [ -x "$FOLDER/redis-server" ]; then exit; fi
missing=$(missing_tools)
if [ -n "$missing" ]; then fail "$missing"; fi
rm -rf "$FOLDER"
mkdir -p "$FOLDER"
FOLDER=$(cd "$FOLDER" && pwd)
if ! unpack "$SUITE" "$FOLDER" "$PROGRAM ${PROGRAM%-server}-tools $LIBRARIES"; then
  rm -rf "$FOLDER"
  fail "Debian's $SUITE could not be reached, or has no $PROGRAM"
fi
loader=("$FOLDER"/unpacked/usr/lib/*/ld-linux-*.so.*)
printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' \
  "${loader[0]}" "${loader[0]%/*}" "$FOLDER/unpacked/usr/bin/$PROGRAM" >"$FOLDER/redis-server"
chmod +x "$FOLDER/redis-server"
rm -rf "$FOLDER"/*.deb "$FOLDER/lists" "$FOLDER/cache" "$FOLDER/debian.sources"
