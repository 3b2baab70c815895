#!/usr/bin/env bash
set -euo pipefail
# pasta of 2023-03-09, as Debian 12 has it (package passt 0.0~git20230309.7c7625d-1), never maps a UDP source port again once
# its mapping has ended: a guest that sends from the same port after some three minutes of silence reaches nobody, while
# another port of the same guest works as before. RFC 4787 section 4.3 lets a mapping end; a new packet then makes a new one.
#
# Two source ports of one guest take turns at a server that answers. Seen:
#
#   port 20001 at first: answered
#   port 20001 after 10 s: answered
#   port 20001 after 200 s: silence
#   port 20001 a second later: silence
#   port 20002, new: answered
#
# Needs Linux, apt-get, dpkg-deb, iproute2, python3 and root or user namespaces. Everything lies in a temporary folder and in
# namespaces of its own. Takes three and a half minutes. Ends with 0 if pasta does what is said above, else with 1.
self=$(realpath "$0")
version='passt=0.0~git20230309*'

if [ "${1:-}" != inside ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  cd "$folder"
  mkdir -p "$folder/lists/partial" "$folder/archives/partial" "$folder/root"
  apt() { apt-get -qq -y -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache::Archives=$folder/archives" -o Dir::Cache::pkgcache= \
    -o Dir::Cache::srcpkgcache= -o Debug::NoLocking=1 -o APT::Sandbox::User= "$@"; }
  apt update
  apt install --download-only --reinstall --allow-downgrades "$version"
  dpkg-deb --extract "$folder"/archives/passt_*.deb "$folder/root"
  user=$([ "$(id -u)" = 0 ] || echo '--user --map-root-user')
  # shellcheck disable=SC2086
  timeout 600 unshare $user --net --mount --pid --fork --kill-child bash "$self" inside "$folder"
  exit
fi

folder=$2
cd "$folder"
mount -t tmpfs tmpfs /run
ip netns add server
ip netns add guest
ip link set lo up
ip link add eth0 type veth peer name eth0 netns server
ip address add 192.0.2.1/24 dev eth0
ip link set eth0 up
ip route add default via 192.0.2.2
ip -n server address add 192.0.2.2/24 dev eth0
ip -n server link set eth0 up
"$folder/root/usr/bin/pasta" --foreground --config-net --no-map-gw -t none -u none --runas 0 --no-netns-quit \
  --netns /run/netns/guest > "$folder/log" 2>&1 &
ip netns exec server python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.0.2.2", 7))
open(sys.argv[1], "w").close()
while True:
    data, source = s.recvfrom(100)
    s.sendto(data, source)' "$folder/ready" &
until ip -n guest route | grep -q default && [ -e "$folder/ready" ]; do sleep 0.1; done
ip netns exec guest python3 -c '
import socket, sys, time
def bound(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", port))
    s.settimeout(2)
    return s
def ask(s, what):
    s.sendto(b"?", ("192.0.2.2", 7))
    try:
        s.recvfrom(100)
        answer = "answered"
    except TimeoutError:
        answer = "silence"
    print(f"port {s.getsockname()[1]}{what}: {answer}", flush=True)
    return answer
one, two = bound(20001), bound(20002)
seen = [ask(one, " at first")]
time.sleep(10); seen.append(ask(one, " after 10 s"))
time.sleep(200); seen.append(ask(one, " after 200 s"))
time.sleep(1); seen.append(ask(one, " a second later"))
seen.append(ask(two, ", new"))
sys.exit(seen != ["answered", "answered", "silence", "silence", "answered"])'
