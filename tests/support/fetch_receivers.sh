#!/usr/bin/env bash
# Fetch newer programs that receive metrics than this Debian has, from Debian's newer suites: Prometheus 2.53 and 3.5,
# and VictoriaMetrics. They are linked statically, so they run on older systems, too. What is there already is not
# fetched again.
set -euo pipefail

FOLDER=${1:?give the folder for the programs, such as build/receivers}
# shellcheck source-path=SCRIPTDIR source=debian_packages.sh
source "${BASH_SOURCE[0]%/*}/debian_packages.sh"

fail() {
  printf '%s\n' "$1: the tests that need newer receivers are skipped, and fail with CI=true." \
    "Put the programs there yourself, from their projects' releases:" \
    "  prometheus and promtool 2.53 into $FOLDER/trixie" \
    "  prometheus and promtool 3.5, victoria-metrics and vmagent 1.145 into $FOLDER/forky" >&2
  exit 1
}

# fetch SUITE PACKAGES PROGRAMS
fetch() {
  local suite=$1 work programs program
  read -ra programs <<<"$3"
  if have "$suite" "${programs[@]}"; then return; fi
  work=$(mktemp -d "$FOLDER/fetching-XXXXXX")
  mkdir -p "$FOLDER/$suite"
  if ! unpack "$suite" "$work" "$2"; then
    rm -rf "$work"
    fail "Debian's $suite could not be reached, or has no $2"
  fi
  for program in "${programs[@]}"; do mv "$work/unpacked/usr/bin/$program" "$FOLDER/$suite/"; done
  rm -rf "$work"
}

have() {
  local program
  for program in "${@:2}"; do [ -x "$FOLDER/$1/$program" ] || return 1; done
}

main() {
  local missing
  if have trixie prometheus promtool && have forky prometheus promtool victoria-metrics vmagent; then return; fi
  missing=$(missing_tools)
  if [ -n "$missing" ]; then fail "$missing"; fi
  mkdir -p "$FOLDER"
  FOLDER=$(cd "$FOLDER" && pwd)
  rm -rf "$FOLDER"/fetching-*
  fetch trixie "prometheus promtool" "prometheus promtool"
  fetch forky "prometheus promtool victoria-metrics" "prometheus promtool victoria-metrics vmagent"
}

main
