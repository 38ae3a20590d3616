# shellcheck shell=bash
# For other scripts: fetch packages of Debian's newer suites into a folder. Nothing of the system changes, and no root is
# needed.

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Print the entry of apt's own sources for Debian, which has the mirror of this machine, with another suite.
source_of() {
  local own=/etc/apt/sources.list.d/debian.sources
  if grep -qs '^URIs:.*/debian/*$' "$own"; then
    awk -v suite="$1" 'BEGIN { RS = ""; ORS = "\n\n" } /\nURIs:[^\n]*\/debian\/*\n/ {
      gsub(/\nSuites:[^\n]*/, "\nSuites: " suite); print; exit }' "$own"
  else
    printf 'Types: deb\nURIs: http://deb.debian.org/debian\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$1" "$KEYRING"
  fi
}

# Print why packages can't be fetched on this machine; nothing if they can.
missing_tools() {
  local program
  for program in apt-get dpkg; do
    if ! command -v "$program" >/dev/null; then
      printf 'This machine has no %s' "$program"
      return
    fi
  done
  [ -e "$KEYRING" ] || printf 'The package debian-archive-keyring, which Ubuntu has, too, is not installed'
}

# unpack SUITE FOLDER PACKAGES: unpack packages of a suite into FOLDER/unpacked.
unpack() {
  local suite=$1 work=$2 options packages package
  read -ra packages <<<"$3"
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
  source_of "$suite" >"$work/debian.sources"
  options=(-qq -o "Dir::Etc::sourcelist=$work/debian.sources" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
    -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User=$(id -un)")
  (cd "$work" && apt-get "${options[@]}" update && apt-get "${options[@]}" download "${packages[@]}") || return 1
  for package in "$work"/*.deb; do dpkg -x "$package" "$work/unpacked"; done
}
