#!/usr/bin/env bash
# Fetch newer programs that receive metrics than this Debian has, from Debian's newer suites: Prometheus 2.53 and 3.5,
# and VictoriaMetrics. They are unpacked into a folder and not installed, so nothing of the system changes, and no root
# is needed. They are linked statically, so they run on older systems, too. What is there already is not fetched again.
set -euo pipefail

FOLDER=${1:?give the folder for the programs, such as build/receivers}
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
  printf '%s\n' "$1: the tests that need newer receivers are skipped, and fail with CI=true." \
    "Put the programs there yourself, from their projects' releases:" \
    "  prometheus and promtool 2.53 into $FOLDER/trixie" \
    "  prometheus and promtool 3.5, victoria-metrics and vmagent 1.145 into $FOLDER/forky" >&2
  exit 1
}

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

# fetch SUITE PACKAGES PROGRAMS
fetch() {
  local suite=$1 work options packages programs package program
  read -ra packages <<<"$2"
  read -ra programs <<<"$3"
  if have "$suite" "${programs[@]}"; then return; fi
  work=$(mktemp -d "$FOLDER/fetching-XXXXXX")
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$FOLDER/$suite"
  source_of "$suite" >"$work/debian.sources"
  options=(-qq -o "Dir::Etc::sourcelist=$work/debian.sources" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
    -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User=$(id -un)")
  if ! (cd "$work" && apt-get "${options[@]}" update && apt-get "${options[@]}" download "${packages[@]}"); then
    rm -rf "$work"
    fail "Debian's $suite could not be reached, or has no $2"
  fi
  for package in "$work"/*.deb; do dpkg -x "$package" "$work/root"; done
  for program in "${programs[@]}"; do mv "$work/root/usr/bin/$program" "$FOLDER/$suite/"; done
  rm -rf "$work"
}

have() {
  local program
  for program in "${@:2}"; do [ -x "$FOLDER/$1/$program" ] || return 1; done
}

main() {
  if have trixie prometheus promtool && have forky prometheus promtool victoria-metrics vmagent; then return; fi
  for program in apt-get dpkg; do
    command -v "$program" >/dev/null || fail "This machine has no $program"
  done
  [ -e "$KEYRING" ] || fail "The package debian-archive-keyring, which Ubuntu has, too, is not installed"
  mkdir -p "$FOLDER"
  FOLDER=$(cd "$FOLDER" && pwd)
  rm -rf "$FOLDER"/fetching-*
  fetch trixie "prometheus promtool" "prometheus promtool"
  fetch forky "prometheus promtool victoria-metrics" "prometheus promtool victoria-metrics vmagent"
}

main
