#!/usr/bin/env bash
# Installs the packages of `make package` in a copy of this Debian system, and looks at what they do there: install,
# upgrade, the service within its sandbox, remove, purge. The copy is an overlay in namespaces of its own: the system
# stays as it is. Needs root.
#
#     packaging/test.sh
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${CAMPAIGN_PACKAGE_TEST:-}" ]; then
    export CAMPAIGN_PACKAGE_TEST=1
    exec unshare --pid --fork --kill-child --ipc --net --mount --mount-proc "$0"
fi
ip link set lo up

dist=target/package/dist
deb=$(echo "$dist"/campaign-exporter_*_amd64.deb)
rpm=$(echo "$dist"/campaign-exporter-*.x86_64.rpm)
simulator=target/debug/campaign-simulator
unit=/usr/lib/systemd/system/campaign_exporter.service

fail() {
    echo "package-test: $*" >&2
    exit 1
}
step() { echo "package-test: $*"; }

# Waits until the command succeeds, for 30 s at most.
await() {
    local what=$1 deadline=$((SECONDS + 30))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || { cat "$work/service.log"; fail "no $what within 30 s"; }
        sleep 0.1
    done
}

work=$(mktemp -d)
mount --types tmpfs tmpfs "$work"
mkdir "$work"/{upper,work,root,old}
root=$work/root
mount --types overlay overlay --options "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$root"
mount --rbind /dev "$root/dev"
mount --types proc proc "$root/proc"
mount --types tmpfs tmpfs "$root/run"
mount --types tmpfs tmpfs "$root/tmp"
inside() { chroot "$root" "$@"; }
# As on a machine that never had it.
rm -rf "$root/var/lib/campaign_exporter" "$root/etc/campaign_exporter" "$root/etc/default/campaign_exporter"

step "the checksums and what the files hold"
(cd "$dist" && sha256sum --quiet --check sha256sums.txt)
lintian --fail-on error "$deb"
rpmlint --config packaging/rpmlint.toml "$rpm" || fail "rpmlint has errors"
rpm -qpl "$rpm" >"$work/rpm-files"
rpm -qp --scripts "$rpm" >"$work/rpm-scripts"
rpm -qp --configfiles "$rpm" >"$work/rpm-settings"
dpkg-deb --fsys-tarfile "$deb" | tar --list >"$work/deb-files"
for file in /usr/bin/campaign_exporter "$unit" /etc/default/campaign_exporter /etc/campaign_exporter/config.yml \
    /usr/share/man/man1/campaign_exporter{,-serve,-check,-rules}.1.gz /usr/share/campaign_exporter/alerts/en/campaign.rules.yml; do
    grep -qx "$file" "$work/rpm-files" || fail "the .rpm lacks $file"
    grep -qx ".$file" "$work/deb-files" || fail "the .deb lacks $file"
done
grep -q 'systemctl --no-reload preset' "$work/rpm-scripts" || fail "the .rpm has no scripts"
grep -qx /etc/default/campaign_exporter "$work/rpm-settings" || fail "the .rpm would overwrite settings"
dpkg-deb --fsys-tarfile "$deb" | tar --extract --to-stdout ./usr/share/bash-completion/completions/campaign_exporter | bash -n

step "security of the unit"
systemd-analyze security --offline=yes --threshold=20 --no-pager packaging/campaign_exporter.service | tail -n 1

step "install an older version, upgrade, keep the settings"
inside getent passwd neolane >/dev/null ||
    inside useradd --create-home --home-dir /usr/local/neolane --shell /bin/bash neolane
dpkg-deb --raw-extract "$deb" "$work/old"
sed -i 's/^Version: .*/Version: 0.1.0/' "$work/old/DEBIAN/control"
dpkg-deb --build "$work/old" "$root/tmp/old.deb" >/dev/null
cp "$deb" "$root/tmp/new.deb"
inside dpkg --install /tmp/old.deb >/dev/null
echo 'ARGS="--log.level=debug"' >>"$root/etc/default/campaign_exporter"
inside dpkg --install --force-confold /tmp/new.deb >/dev/null
grep -q 'log.level=debug' "$root/etc/default/campaign_exporter" || fail "an upgrade overwrote the settings"
[ -L "$root/etc/systemd/system/multi-user.target.wants/campaign_exporter.service" ] || fail "the service is not enabled"
inside campaign_exporter --version

step "the service, as its user and within its sandbox, on a simulated Campaign host"
install -m 755 "$simulator" "$root/usr/local/bin/campaign-simulator"
as_campaign() { inside setpriv --reuid neolane --regid neolane --init-groups env HOME=/usr/local/neolane "$@"; }
# What a first run as root has left is taken over; the logs are behind XTK_VAR_DIR.
mkdir -p "$root/var/lib/campaign_exporter" "$root/srv/campaign"
touch "$root/var/lib/campaign_exporter/logs.lock"
inside chown neolane: /srv/campaign
as_campaign campaign-simulator create /usr/local/neolane/nl6 --var-dir /srv/campaign/var --autostart mta,stat,inMail,wfserver,pipelined \
    --set restartDelayMs=20 >/dev/null
as_campaign /usr/local/neolane/nl6/bin/nlserver start >/dev/null
cp packaging/sandbox.py "$root/tmp/sandbox.py"
unshare --mount chroot "$root" /tmp/sandbox.py "$unit" >"$work/service.log" 2>&1 &
service=$!
url=http://127.0.0.1:10777
all_well() {
    curl --silent --fail --output "$work/metrics" "$url/metrics" &&
        ! grep -q '^campaign_scrape_collector_success{.*} 0$' "$work/metrics" &&
        grep -q '^campaign_module_up{module="mta",campaign_instance="prod"} 1$' "$work/metrics"
}
await "scrape with every collector" all_well
grep '^campaign_scrape_collector_success' "$work/metrics"
expect() { grep -Eq "$1" "$work/metrics" || fail "no sample like $1"; }
expect '^campaign_module_up\{.*module="watchdog".*\} 1$'
expect '^campaign_module_open_fds\{.*module="mta".*\} [1-9]'
expect '^campaign_log_messages_total\{.*log="mta".*\}'
expect '^campaign_port_bound\{.*\} 1$'
expect '^campaign_shared_memory_segments.* [1-9]'
if grep -E '^campaign_scrape_collector_errors_total\{.*\} [1-9]' "$work/metrics"; then fail "a collector lost something"; fi
grep -q 'notified: READY=1' "$work/service.log" || fail "systemd would not learn that it is ready"
await "watchdog notification" grep -q 'notified: WATCHDOG=1' "$work/service.log"
pid=$(sed -n 's/^pid: //p' "$work/service.log")
peak=$(sed -n 's/^VmHWM: *\([0-9]*\) kB/\1/p' "/proc/$pid/status")
((peak < 128 * 1024)) || fail "its memory peak is $peak kB"
grep -E '^(Uid|CapBnd|NoNewPrivs|Seccomp):' "/proc/$pid/status"
kill -HUP "$service"
await "answer after SIGHUP" curl --silent --fail --output /dev/null "$url/-/healthy"
kill -TERM "$service"
wait "$service" || { cat "$work/service.log"; fail "the service ended with an error"; }
[ -n "$(ls -A "$root/var/lib/campaign_exporter")" ] || fail "the service kept no state"
as_campaign /usr/local/neolane/nl6/bin/nlserver shutdown >/dev/null

step "remove keeps settings and state, purge keeps nothing"
inside dpkg --remove campaign-exporter >/dev/null
[ -e "$root/etc/default/campaign_exporter" ] || fail "remove took the settings"
[ ! -e "$root/usr/bin/campaign_exporter" ] || fail "remove left the binary"
inside dpkg --purge campaign-exporter >/dev/null
# A character device in the upper layer stands for what the copy has removed.
left=$(find "$work/upper" -iname '*campaign[-_]exporter*' ! -type c)
[ -z "$left" ] || fail "purge left $left"
step "passed"
