#!/bin/bash
# Prints what inject, status and restore say, each under a line "## NAME"; for quotes.py.
# Runs in a guest, with an endpoint api.example.com behind a veth pair. It changes addresses and mounts.
grep -q "User Mode Linux" /proc/cpuinfo || { echo "not in a guest" >&2; exit 3; }
set -eu
mount -t tmpfs none /run
ip netns add far
ip link set lo up
ip link add eth0 type veth peer name eth0 netns far
ip address add 192.0.2.1/24 dev eth0
ip address add 2001:db8::1/64 dev eth0 nodad
ip link set eth0 up
ip -n far address add 192.0.2.7/24 dev eth0
ip -n far address add 2001:db8::7/64 dev eth0 nodad
ip -n far link set lo up
ip -n far link set eth0 up
printf '127.0.0.1 localhost\n192.0.2.7 api.example.com\n2001:db8::7 api.example.com\n' >/run/hosts
mount --bind /run/hosts /etc/hosts
mkdir -p /run/state
export CHAOSKIT_STATE=/run/state COLUMNS=80 PATH=$PWD/.venv/bin:$PATH

# Waits until a file has a line, half a minute at most.
await() { for _ in $(seq 150); do grep -q "$2" "$1" && return; sleep 0.2; done; cat "$1" >&2; exit 1; }

ip netns exec far chaoskit serve --host 192.0.2.7 --port 443 >/run/serve 2>&1 &
await /run/serve 192.0.2.7
chaoskit inject --to api.example.com:443 --down 'delay 80ms 20ms loss 1%' --for 60s >/run/inject 2>&1 &
injected=$!
await /run/inject "in force until"
for _ in $(seq 20); do curl -s -o /dev/null http://api.example.com:443/v1/models; done
chaoskit status >/run/status 2>&1
kill -INT $injected
wait $injected || true
echo "## inject"
sed 's/^\(in force until.*\)/\1\n^C/' /run/inject
chaoskit inject --to api.example.com:443 --down 'delay 80ms 20ms loss 1%' --for 60s --detach >/run/detached 2>&1
echo "## status"
echo "$ chaoskit status"
cat /run/status
echo "$ sudo chaoskit restore"
chaoskit restore
echo "##"
umount /etc/hosts
