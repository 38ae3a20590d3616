"""The systemd unit, and the install script as root on a whole system that is discarded afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deployment.scrapers.installation import TOKEN, Installation, installation
from tests.support.dev_server import REPOSITORY
from tests.support.prometheus_server import require

pytestmark = pytest.mark.prometheus

# Of 100; a unit without any hardening has 92, Debian's own unit 50.
EXPOSURE = 20


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Install, and return the unit that was written."""
    machine: Installation = installation(tmp_path / "machine")
    machine.run()
    return machine.root / "etc" / "systemd" / "system" / "prometheus.service"


def test_systemd_takes_the_unit_without_a_warning(unit: Path) -> None:
    """`systemd-analyze verify` accepts every line of it."""
    command = [require("systemd-analyze", "systemd"), "verify", str(unit)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    # Other output is about units of the machine that runs this test.
    about = [line for line in done.stderr.splitlines() if "prometheus" in line]
    assert (done.returncode, about) == (0, [])


def test_the_unit_is_hardened(unit: Path) -> None:
    """`systemd-analyze security` finds little that a compromised Prometheus could do to the machine."""
    analyze = require("systemd-analyze", "systemd")
    command = [analyze, "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout


def test_prometheus_calls_nothing_that_the_unit_forbids(unit: Path, tmp_path: Path) -> None:
    """Under strace, starting, reloading and ending, Prometheus makes no system call that the unit forbids."""
    trace, config, ready = tmp_path / "trace", tmp_path / "prometheus.yml", "Server is ready"
    config.write_text("scrape_configs: []\n")
    command = [require("strace", "strace"), "-f", "-c", "-U", "name", "-o", str(trace), require("prometheus")]
    command += [f"--config.file={config}", f"--storage.tsdb.path={tmp_path}", "--web.listen-address=127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as traced:
        assert traced.stderr
        assert any(ready in line for line in traced.stderr)
        pid = Path(f"/proc/{traced.pid}/task/{traced.pid}/children").read_text().split()[0]
        os.kill(int(pid), 1)
        assert any("Completed loading of configuration file" in line for line in traced.stderr)
        os.kill(int(pid), 15)
        traced.stderr.read()
    called = {line.strip() for line in trace.read_text().splitlines()[2:-2]}
    assert len(called) > 30
    assert called - allowed(unit.read_text()) == set()


def allowed(unit: str) -> set[str]:
    """Return the system calls that the unit's filter allows: lines that begin with ~ remove calls, others add them."""
    filters = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("SystemCallFilter=")]
    allowing = {name for groups in filters if groups[0] != "~" for group in groups.split() for name in syscalls(group)}
    taken = {name for groups in filters if groups[0] == "~" for group in groups[1:].split() for name in syscalls(group)}
    assert allowing
    assert taken
    return allowing - taken


def syscalls(group: str) -> set[str]:
    """Return the system calls in one of systemd's groups, including the groups in it."""
    text = subprocess.check_output(["systemd-analyze", "syscall-filter", "--no-pager", group], encoding="utf-8")
    names = [line.strip() for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return {name for entry in names for name in (syscalls(entry) if entry.startswith("@") else {entry})}


# Everything below / is readable, and all writes are discarded at the end. systemd does not run in it: what the
# script asks of it is recorded by a stand-in, except in the first run, where the real one enables the unit.
SYSTEM = r"""
set -eu
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/system"
mount -t overlay none -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/system"
mount -t proc none "$1/system/proc"
mount -t devtmpfs none "$1/system/dev" 2>/dev/null || mount --bind /dev "$1/system/dev"
mount -t tmpfs none "$1/system/run"
mkdir -p "$1/system$REPOSITORY"
mount --bind "$REPOSITORY" "$1/system$REPOSITORY"
exec chroot "$1/system" bash -eu -c "$2"
"""

STEPS = r"""
cd "$REPOSITORY"
title() { printf '== %s\n' "$1"; }
userdel prometheus 2>/dev/null || true
groupdel prometheus 2>/dev/null || true
rm -rf /etc/prometheus /etc/systemd/system/prometheus.service /etc/systemd/system/*/prometheus.service

title first
deploy/prometheus/install.sh
title facts
id -nG prometheus
getent passwd prometheus | cut -d: -f6-7
stat -c '%U:%G %a %n' /etc/prometheus/metrics-token /etc/prometheus/prometheus.yml
readlink /etc/systemd/system/multi-user.target.wants/prometheus.service
setpriv --reuid=prometheus --regid=prometheus --clear-groups promtool check config /etc/prometheus/prometheus.yml |
  grep -c SUCCESS
setpriv --reuid=nobody --regid=nogroup --clear-groups cat /etc/prometheus/metrics-token 2>&1 | sed 's/.*: //'
title second
deploy/prometheus/install.sh

mkdir -p /run/systemd/system
cat >/usr/local/bin/systemctl <<'END'
#!/bin/sh
case "$1" in
  is-enabled) exit 0 ;;
  is-active) test -e /run/active && exit 0 || exit 3 ;;
  restart) touch /run/active ;;
  stop) rm /run/active ;;
esac
echo "systemctl $*"
END
chmod 755 /usr/local/bin/systemctl
hash -r
title inactive
deploy/prometheus/install.sh
title unchanged
deploy/prometheus/install.sh
title token
METRICS_AUTH_TOKEN=another-token deploy/prometheus/install.sh
title configuration
VERCEL_AUTOMATION_BYPASS_SECRET=bypass-secret deploy/prometheus/install.sh
title unit
echo '# written by deploy/prometheus/install.sh' >/etc/systemd/system/prometheus.service
deploy/prometheus/install.sh --dry-run
deploy/prometheus/install.sh
title owner
chown root:root /etc/prometheus/metrics-token
deploy/prometheus/install.sh
title uninstall
deploy/prometheus/install.sh --uninstall
"""

EXPECTED = {
    "first": """\
wrote user prometheus
wrote /etc/prometheus/targets/
wrote /etc/prometheus/rules/kairo-cms/
wrote /etc/prometheus/metrics-token
wrote /etc/prometheus/targets/kairo-cms.json
wrote /etc/prometheus/rules/kairo-cms/alerts.yml
wrote /etc/prometheus/rules/kairo-cms/recording.yml
wrote /etc/prometheus/prometheus.yml
wrote /etc/systemd/system/prometheus.service
systemd does not run here: Prometheus starts with the next boot
""",
    "facts": """\
prometheus
/var/lib/prometheus:/usr/sbin/nologin
root:prometheus 640 /etc/prometheus/metrics-token
root:prometheus 640 /etc/prometheus/prometheus.yml
/etc/systemd/system/prometheus.service
4
Permission denied
""",
    "second": "systemd does not run here: Prometheus starts with the next boot\nNothing has changed.\n",
    "inactive": """\
systemctl daemon-reload
systemctl restart prometheus
started Prometheus on http://127.0.0.1:9090
""",
    "unchanged": "Nothing has changed.\n",
    "token": "wrote /etc/prometheus/metrics-token\n",
    "configuration": """\
wrote /etc/prometheus/metrics-token
wrote /etc/prometheus/prometheus.yml
systemctl reload prometheus
reloaded the configuration
""",
    "unit": """\
would write /etc/prometheus/prometheus.yml
would write /etc/systemd/system/prometheus.service
wrote /etc/prometheus/prometheus.yml
wrote /etc/systemd/system/prometheus.service
systemctl daemon-reload
systemctl restart prometheus
started Prometheus on http://127.0.0.1:9090
""",
    "owner": "wrote /etc/prometheus/metrics-token\n",
    "uninstall": """\
systemctl --quiet disable prometheus
systemctl stop prometheus
removed /etc/systemd/system/prometheus.service
removed /etc/systemd/system/prometheus.service.bak
removed /etc/prometheus/prometheus.yml
removed /etc/prometheus/prometheus.yml.bak
removed /etc/prometheus/metrics-token
removed /etc/prometheus/targets/kairo-cms.json
removed /etc/prometheus/rules/kairo-cms
systemctl daemon-reload
""",
}


def test_a_whole_system_is_installed_on(tmp_path: Path) -> None:
    """As root the script creates the user, makes it the owner of the files, and calls systemd as each change needs."""
    require("prometheus")
    as_root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive", "--preserve-env"]
    if as_root and not shutil.which("sudo"):
        pytest.skip("run the tests as root, or where sudo asks for no password")
    environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "REPOSITORY": str(REPOSITORY)}
    environ |= {"KAIRO_DOMAIN": "shop.example", "METRICS_AUTH_TOKEN": TOKEN}
    command = [*as_root, "unshare", "--mount", "bash", "-c", SYSTEM, "-", str(tmp_path), STEPS]
    done = subprocess.run(command, env=environ, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sections = [section.partition("\n") for section in done.stdout.split("== ")[1:]]
    assert {title: text for title, _, text in sections} == EXPECTED
