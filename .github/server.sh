#!/usr/bin/env bash
# Put the server of an Alpine image on PATH, with the loader and the libraries that it needs there.
# A server in a container would outlive a test that kills it.
#
#   .github/server.sh IMAGE PROGRAM      PROGRAM is redis-server or valkey-server
set -euo pipefail
image=$1 program=$2
root=$HOME/server
mkdir -p "$root"
container=$(docker create "$image")
docker export "$container" | tar -x -C "$root" lib usr/lib usr/local/bin
docker rm "$container" >/dev/null
mkdir -p "$HOME/bin"
cat >"$HOME/bin/$program" <<EOF
#!/bin/sh
exec "$root"/lib/ld-musl-*.so.1 --library-path "$root/lib:$root/usr/lib" "$root/usr/local/bin/$program" "\$@"
EOF
chmod +x "$HOME/bin/$program"
"$HOME/bin/$program" --version
echo "$HOME/bin" >>"$GITHUB_PATH"
