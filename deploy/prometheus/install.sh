#!/usr/bin/env bash
# Installs a Prometheus that scrapes Kairo CMS and runs under systemd. Run it again after every change: it
# writes only what differs, and a second run changes nothing.
set -euo pipefail
umask 077
export LC_ALL=C
unset CDPATH # with it, cd prints the folder

usage() {
  cat <<'END'
Usage: deploy/prometheus/install.sh [--dry-run] [--keep-config | --replace] [--root FOLDER] [--uninstall]

  --dry-run      say what would be changed, and change nothing
  --keep-config  leave prometheus.yml as it is, with the jobs that you have in it; the rest is written
  --replace      replace files that this script did not write; each is kept as NAME.bak
  --root FOLDER  write below FOLDER, for an image: no user is made, nothing is started
  --uninstall    stop Prometheus and remove what this script wrote; the data and the program stay

Environment:
  METRICS_AUTH_TOKEN   the bearer token, as the deployment has it; of two with a comma the first
  KAIRO_DOMAIN         the deployment's final domain; more than one with their environments:
                       "shop.example staging=staging.shop.example"
  VERCEL_AUTOMATION_BYPASS_SECRET
                       if the deployment is behind Vercel's Deployment Protection
  PROMETHEUS_VERSION   which release to download if no prometheus is installed
  PROMETHEUS_RELEASES  where from: an https:// or file:// address with the layout of GitHub's releases
END
}

say() { printf '%s\n' "$*"; }
fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

PROMETHEUS_VERSION=${PROMETHEUS_VERSION:-3.13.1}
PROMETHEUS_RELEASES=${PROMETHEUS_RELEASES:-https://github.com/prometheus/prometheus/releases/download}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RULES=$HERE/../../grafana/rules
MARK='written by deploy/prometheus/install.sh'
ETC=/etc/prometheus
UNIT=/etc/systemd/system/prometheus.service

root='' dry_run='' keep_config='' replace='' uninstall=''
changes=0 unit_changed='' config_changed=''

parse_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --dry-run) dry_run=yes ;;
      --keep-config) keep_config=yes ;;
      --replace) replace=yes ;;
      --uninstall) uninstall=yes ;;
      --root)
        [ -d "${2:-}" ] || fail "--root needs a folder that exists"
        root=$(cd "$2" && pwd)
        shift
        ;;
      -h | --help) usage && exit 0 ;;
      *) fail "unknown option $1; --help lists them" ;;
    esac
    shift
  done
  # "/" would be this system, but without the user and the service.
  [ "$root" != / ] || fail "--root / is the system itself: leave the option out"
  [ -n "$root" ] || [ "$(id -u)" = 0 ] ||
    fail "run it as root: sudo --preserve-env=KAIRO_DOMAIN,METRICS_AUTH_TOKEN $0"
}

# The settings are checked before anything is changed. No message shows a secret.

read_token() {
  local given=${METRICS_AUTH_TOKEN:-}
  [ -n "$given" ] || fail "METRICS_AUTH_TOKEN is not set: it is the token that the deployment has under that name"
  given=${given%%,*}
  given=${given#"${given%%[![:space:]]*}"}
  token=${given%"${given##*[![:space:]]}"}
  [[ $token =~ ^[!-~]+$ ]] ||
    fail "METRICS_AUTH_TOKEN is no token that a header can carry: it is empty, or has a space or" \
      "a letter outside of ASCII in it"
}

read_bypass() {
  bypass=${VERCEL_AUTOMATION_BYPASS_SECRET:-}
  [[ $bypass =~ ^[A-Za-z0-9_-]*$ ]] ||
    fail "VERCEL_AUTOMATION_BYPASS_SECRET has something other than letters, digits, - and _ in it: paste it again"
}

# Print the file of targets: one entry for each domain.
render_targets() {
  local items item environment domain scheme separator=''
  local -r shape='^(([A-Za-z0-9_.-]+)=)?(https?://)?(([A-Za-z0-9-]+\.)*[A-Za-z0-9-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?/?$'
  read -ra items <<<"${KAIRO_DOMAIN//[,$'\n']/ }"
  printf '['
  for item in "${items[@]}"; do
    [[ $item =~ $shape ]] ||
      fail "KAIRO_DOMAIN: '$item' is no domain; write shop.example or staging=staging.shop.example, without a path"
    environment=${BASH_REMATCH[2]:-production} domain=${BASH_REMATCH[4]}${BASH_REMATCH[6]} scheme=''
    if [ "${BASH_REMATCH[3]}" = http:// ]; then
      case ${BASH_REMATCH[4]} in
        127.0.0.1 | localhost | '[::1]') scheme=', "__scheme__": "http"' ;;
        *) fail "KAIRO_DOMAIN: '$item' would send the token unencrypted; http:// is only for this machine" ;;
      esac
    fi
    # The explicit instance is the same in all versions, of which some add a port to the address.
    printf '%s\n  {"targets": ["%s"], "labels": {"environment": "%s", "instance": "%s"%s}}' \
      "$separator" "$domain" "$environment" "$domain" "$scheme"
    separator=,
  done
  printf '\n]\n'
}

# The parameter for Deployment Protection is added after the path. The secret is passed in the environment: a
# command's arguments are visible to every user.
render_config() {
  BYPASS=$bypass awk '{ print } ENVIRON["BYPASS"] != "" && $1 == "metrics_path:" {
    printf "    params:\n      x-vercel-protection-bypass: [\"%s\"]\n", ENVIRON["BYPASS"]
  }' "$HERE/prometheus.yml"
}

render() {
  mkdir -p "$new/rules/kairo-cms"
  printf '%s' "$token" >"$new/metrics-token"
  render_config >"$new/prometheus.yml"
  sed "s|^ExecStart=[^ ]*|ExecStart=$program|" "$HERE/prometheus.service" >"$new/prometheus.service"
  local rules
  for rules in "$RULES"/*.yml; do
    # Only files with groups are rules; other files in the folder may be tests of rules.
    if grep -qs '^groups:' "$rules"; then cp "$rules" "$new/rules/kairo-cms/"; fi
  done
}

# The program: the installed one, else the release, which is unpacked elsewhere until all other checks have passed.

find_program() {
  local folder
  for folder in /usr/local/bin /usr/bin; do
    if [ -x "$root$folder/prometheus" ] && [ -x "$root$folder/promtool" ]; then
      program=$folder/prometheus promtool=$root$folder/promtool
      return
    fi
  done
  download_release
  program=/usr/local/bin/prometheus promtool=$new/release/promtool
}

download_release() {
  local architecture name place=$PROMETHEUS_RELEASES/v$PROMETHEUS_VERSION
  case $(uname -m) in
    x86_64) architecture=amd64 ;;
    aarch64) architecture=arm64 ;;
    armv7l) architecture=armv7 ;;
    *) fail "there is no release of Prometheus for $(uname -m): install the program yourself, to /usr/local/bin" ;;
  esac
  name=prometheus-$PROMETHEUS_VERSION.linux-$architecture.tar.gz
  command -v curl >/dev/null || fail "curl is missing: install it, or Prometheus itself"
  mkdir -p "$new/release"
  say "Downloading $place/$name"
  fetch "$place/$name" "$new/release/$name"
  fetch "$place/sha256sums.txt" "$new/release/sha256sums.txt"
  (cd "$new/release" && grep -E "^[0-9a-f]{64} [ *]$name\$" sha256sums.txt | sha256sum --check --status --strict) ||
    fail "$name is not what its sha256sums.txt says: nothing was installed"
  tar -xzf "$new/release/$name" -C "$new/release" --no-same-owner --strip-components=1 \
    "${name%.tar.gz}/prometheus" "${name%.tar.gz}/promtool"
}

fetch() {
  curl --fail --silent --show-error --location --retry 3 --proto '=https,file' --proto-redir '=https' \
    --output "$2" "$1" ||
    fail "$1 could not be downloaded; PROMETHEUS_VERSION and PROMETHEUS_RELEASES say what and where from"
}

# Writing: only files that differ, and each in one step, so that Prometheus never reads an incomplete file.

is_foreign() { [ -e "$root$1" ] && ! grep -qs "$MARK" "$root$1"; }

keeps() { [ -n "$keep_config" ] && [ "$1" = "$ETC/prometheus.yml" ] && [ -e "$root$1" ]; }

refuse_foreign() {
  local path
  for path in "$ETC/prometheus.yml" "$UNIT"; do
    if keeps "$path" || [ -n "$replace" ]; then continue; fi
    if is_foreign "$path"; then
      fail "$root$path is not from this script. Run it again with --replace, which keeps that file as .bak; or, if it" \
        "is your prometheus.yml, add the job of $HERE/prometheus.yml to it and use --keep-config"
    fi
  done
}

make_user() {
  [ -z "$root" ] || return 0
  getent passwd prometheus >/dev/null && return 0
  changed "user prometheus" || return 0
  useradd --system --user-group --home-dir /var/lib/prometheus --no-create-home --shell /usr/sbin/nologin prometheus
}

# Count and print a change; return false in a dry run.
changed() {
  changes=$((changes + 1))
  if [ -n "$dry_run" ]; then
    say "would write $*"
    return 1
  fi
  say "wrote $*"
}

# Every user may enter the folders, so that Prometheus can reach its files.
make_folder() {
  [ -d "$root$1" ] || ! changed "$1/" || (umask 022 && mkdir -p "$root$1")
}

# Keep all copies of foreign files, and one copy of our own files, which may have been edited.
keep_copy() {
  if is_foreign "$1"; then
    cp -p --backup=numbered "$root$1" "$root$1.bak"
  elif ! is_foreign "$1.bak"; then
    cp -p "$root$1" "$root$1.bak"
  fi
}

# put SOURCE PATH MODE [OWNER:GROUP]
put() {
  local source=$1 path=$2 mode=$3 owner=${4:-root:root} target=$root$2 has
  has=$(stat -c %a "$target" 2>/dev/null || true)
  [ -n "$root" ] || has="$has $(stat -c %U:%G "$target" 2>/dev/null || true)"
  [ -z "$root" ] || owner=''
  if cmp -s "$source" "$target" && [ "$has" = "${mode#0}${owner:+ $owner}" ]; then return 0; fi
  case $path in
    "$UNIT" | */bin/*) unit_changed=yes ;;
    *.yml) config_changed=yes ;;
  esac
  changed "$path" || return 0
  (umask 022 && mkdir -p "$(dirname "$target")")
  if [ -e "$target" ] && ! cmp -s "$source" "$target"; then
    case $path in "$UNIT" | "$ETC/prometheus.yml") keep_copy "$path" ;; esac
  fi
  cp "$source" "$target.new"
  [ -z "$owner" ] || chown "$owner" "$target.new"
  chmod "$mode" "$target.new"
  mv -f "$target.new" "$target"
}

remove() {
  [ -e "$root$1" ] || return 0
  changes=$((changes + 1))
  case $1 in *.yml) config_changed=yes ;; esac
  if [ -n "$dry_run" ]; then say "would remove $1"; else rm -rf "$root$1" && say "removed $1"; fi
}

write_all() {
  local rules
  if [ -d "$new/release" ]; then
    put "$new/release/promtool" /usr/local/bin/promtool 0755
    put "$new/release/prometheus" /usr/local/bin/prometheus 0755
  fi
  make_folder "$ETC/targets"
  make_folder "$ETC/rules/kairo-cms"
  put "$new/metrics-token" "$ETC/metrics-token" 0640 root:prometheus
  put "$new/targets/kairo-cms.json" "$ETC/targets/kairo-cms.json" 0644
  for rules in "$root$ETC"/rules/kairo-cms/*.yml; do
    [ -e "$new/rules/kairo-cms/${rules##*/}" ] || remove "${rules#"$root"}"
  done
  for rules in "$new"/rules/kairo-cms/*.yml; do
    [ ! -e "$rules" ] || put "$rules" "$ETC/rules/kairo-cms/${rules##*/}" 0644
  done
  # The file may have the bypass secret in it.
  keeps "$ETC/prometheus.yml" || put "$new/prometheus.yml" "$ETC/prometheus.yml" 0640 root:prometheus
  put "$new/prometheus.service" "$UNIT" 0644
}

# Start, restart or reload Prometheus as needed; it reads changed targets and tokens by itself.
start() {
  [ -z "$root$dry_run" ] || return 0
  systemctl is-enabled --quiet prometheus 2>/dev/null || systemctl --quiet enable prometheus
  if [ ! -d /run/systemd/system ]; then
    say "systemd does not run here: Prometheus starts with the next boot"
  elif [ -n "$unit_changed" ] || ! systemctl is-active --quiet prometheus; then
    systemctl daemon-reload
    systemctl restart prometheus
    changes=$((changes + 1))
    say "started Prometheus on http://127.0.0.1:9090"
  elif [ -n "$config_changed" ]; then
    systemctl reload prometheus
    say "reloaded the configuration"
  fi
}

remove_all() {
  local path
  if [ -z "$root$dry_run" ] && [ -e "$UNIT" ] && ! is_foreign "$UNIT"; then
    systemctl --quiet disable prometheus || true
    [ ! -d /run/systemd/system ] || systemctl stop prometheus
  fi
  for path in "$UNIT"{,.bak} "$ETC"/prometheus.yml{,.bak} \
    "$ETC"/{metrics-token,targets/kairo-cms.json,rules/kairo-cms}; do
    case $path in "$UNIT" | *.yml | *.bak) ! is_foreign "$path" || continue ;; *) ;; esac
    remove "$path"
  done
  if [ -z "$root$dry_run" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
  [ "$changes" -gt 0 ] || say "There is nothing to remove."
}

main() {
  parse_options "$@"
  if [ -n "$uninstall" ]; then
    remove_all
    return
  fi
  read_token
  read_bypass
  [[ ${KAIRO_DOMAIN:-} =~ [^[:space:],] ]] ||
    fail "KAIRO_DOMAIN is not set: it is the domain to scrape, such as shop.example"
  refuse_foreign
  new=$(mktemp -d)
  trap 'rm -rf "$new"' EXIT
  mkdir "$new/targets"
  render_targets >"$new/targets/kairo-cms.json"
  find_program
  render
  "$promtool" check config "$new/prometheus.yml" >"$new/checked" 2>&1 ||
    fail "the configuration is not good, and nothing was changed: $(cat "$new/checked")"
  make_user
  write_all
  start
  [ "$changes" -gt 0 ] || say "Nothing has changed."
}

main "$@"
