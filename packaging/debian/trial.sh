#!/bin/sh
# Runs inside a bare Debian 12: installs old.deb, uses it, upgrades to new.deb, removes and purges it. Says what it does; ends with
# an error at the first thing that is not as it should be.
set -eu
version=$1

say() { echo "trial: $*"; }
fail() { echo "trial: FAILED: $*" >&2; exit 1; }

serve() {
    setpriv --reuid confab --regid confab --init-groups /usr/bin/confab serve --config /etc/confab/confab.toml >/tmp/confab.log 2>&1 &
    server=$!
    for _ in $(seq 100); do
        curl --silent --fail --output /dev/null http://127.0.0.1:3000/healthz && return
        kill -0 $server 2>/dev/null || { cat /tmp/confab.log; fail "the server ended"; }
        sleep 0.1
    done
    fail "the server does not answer"
}

stop() {
    kill -TERM $server
    wait $server || { cat /tmp/confab.log; fail "the server did not end well"; }
}

messages() { curl --silent --fail http://127.0.0.1:3000/api/v1/rooms/trial/messages; }

export DEBIAN_FRONTEND=noninteractive
dpkg --purge confab >/dev/null 2>&1 || true

dpkg --install /old.deb
say "installed $(confab --version) as $(dpkg-query --show --showformat='${Version}' confab)"
[ "$(stat --format '%U:%a' /var/lib/confab)" = confab:700 ] || fail "/var/lib/confab is not confab's alone"
[ "$(stat --format '%U:%G:%a' /etc/confab/confab.toml)" = root:confab:640 ] || fail "the settings can be read by others"
serve
curl --silent --fail --output /dev/null --data key=one --data text=before http://127.0.0.1:3000/room/trial/
messages | grep --quiet before || fail "what was said is not there"
say "it serves as the user confab, and keeps what is said"
stop

echo '# ours' >>/etc/confab/confab.toml
dpkg --force-confold --install /new.deb
[ "$(dpkg-query --show --showformat='${Version}' confab)" = "$version" ] || fail "not upgraded"
grep --quiet '^# ours$' /etc/confab/confab.toml || fail "the upgrade took our settings away"
serve
messages | grep --quiet before || fail "what was said before the upgrade is gone"
say "upgraded to $version; the settings and what was said are there"
stop

cp /etc/confab/confab.toml /tmp/good.toml
echo 'nonsense = 1' >>/etc/confab/confab.toml
dpkg --install /new.deb 2>&1 | tee /tmp/again.log
grep --quiet nonsense /tmp/again.log || fail "a mistake in the settings was not named"
say "a mistake in the settings is named, and the package is installed all the same"
cp /tmp/good.toml /etc/confab/confab.toml

dpkg --remove confab
[ -f /etc/confab/confab.toml ] && [ -f /var/lib/confab/confab.db ] || fail "removing took settings or data"
say "removed; settings and data are left"
dpkg --purge confab
[ ! -e /etc/confab/confab.toml ] && [ ! -e /var/lib/confab ] || fail "purging left something"
say "purged; nothing is left"
