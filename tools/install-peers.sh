#!/usr/bin/env bash
# Installs the servers that `benches/peers` can measure beside udp_kv: etcd, ZooKeeper (with Java) and
# Redis, as Debian has them. None of them is left running: the benchmark starts its own. Does
# nothing where all is there.
set -euo pipefail

missing=()
command -v etcd >/dev/null || missing+=(etcd-server)
[ -e /usr/share/java/zookeeper.jar ] || missing+=(zookeeper)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v setpriv >/dev/null || missing+=(util-linux)

if [ "${#missing[@]}" -gt 0 ]; then
    apt-get update
    # Whoever only wants to measure has no use for services that start with the machine.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    apt-get install --yes --no-install-recommends "${missing[@]}"
fi
echo "etcd, ZooKeeper and Redis are there"
