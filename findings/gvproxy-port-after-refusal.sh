#!/usr/bin/env bash
set -euo pipefail
# gvproxy of gvisor-tap-vsock v0.8.9 gives a guest's UDP flow another outside port once somebody has said "port unreachable":
#
# - The far end refuses (its port is closed): each further datagram of the guest to that end leaves from a port of its own.
#   slirp4netns, pasta and the kernel's masquerade keep one port throughout.
# - The guest refuses (its socket was closed when a datagram came in): the mapping is given up. Of a socket that is bound to
#   the same port again a second later, the first datagram is lost and the next ones leave from another outside port. With
#   slirp4netns, pasta and the kernel's masquerade the mapping outlives the gap.
#
# What depends on a mapping that lives on (hole punching, a socket that is handed over) starts over in both cases. Seen:
#
#   to a closed port, 8 datagrams from one socket: 8 outside ports
#   to an open port, 8 datagrams from one socket: 1 outside port
#   closed and bound again, nothing came in between: first datagram answered, the same outside port
#   closed and bound again, a datagram came in between: first datagram lost, another outside port
#
# Needs Linux, go, iproute2, python3 and root or user namespaces. Everything but go's own caches lies in a temporary folder
# and in namespaces of its own. Ends with 0 if gvproxy does what is said above, else with 1.
self=$(realpath "$0")
module=github.com/containers/gvisor-tap-vsock version=v0.8.9

if [ "${1:-}" != inside ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  cd "$folder"
  printf 'module finding\n\ngo 1.21\n\nrequire %s %s\n' $module $version > "$folder/go.mod"
  go build -mod=mod -o "$folder/" $module/cmd/gvproxy $module/cmd/vm
  user=$([ "$(id -u)" = 0 ] || echo '--user --map-root-user')
  # shellcheck disable=SC2086
  timeout 300 unshare $user --net --mount --pid --fork --kill-child bash "$self" inside "$folder"
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
ip -n server address add 192.0.2.2/24 dev eth0
ip -n server link set eth0 up
ip -n guest tuntap add tap0 mode tap
ip -n guest address add 192.168.127.2/24 dev tap0
ip -n guest link set tap0 mtu 1500 up
ip -n guest route add default via 192.168.127.1
"$folder/gvproxy" -listen "unix://$folder/sock" -ssh-port -1 > "$folder/log" 2>&1 &
until [ -e "$folder/sock" ]; do sleep 0.1; done
ip netns exec guest "$folder/vm" -url "unix://$folder/sock" -preexisting -iface tap0 > "$folder/vm.log" 2>&1 &
until ip -n guest link show tap0 | grep -q LOWER_UP; do sleep 0.1; done

# The server tells where a datagram came from, or sends one more after a pause; on port 9 it hears what the kernel refuses.
cat > "$folder/server.py" <<'END'
import socket, struct, sys, threading, time
raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
refused = []
def listen():
    while True:
        packet, whence = raw.recvfrom(2000)
        if whence[2] != socket.PACKET_OUTGOING and packet[9] == 17 and struct.unpack("!H", packet[22:24])[0] == 9:
            refused.append(struct.unpack("!H", packet[20:22])[0])
threading.Thread(target=listen, daemon=True).start()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.0.2.2", 7))
open(sys.argv[1], "w").close()
while True:
    asked, source = s.recvfrom(100)
    if asked == b"later":
        time.sleep(0.5)
    s.sendto(" ".join(map(str, refused)).encode() if asked == b"refused" else str(source[1]).encode(), source)
END
cat > "$folder/guest.py" <<'END'
import socket, sys, time
server, closed = ("192.0.2.2", 7), ("192.0.2.2", 9)
def bound(port=0):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", port))
    s.settimeout(5)
    return s
def ask(s, what=b"where"):
    s.sendto(what, server)
    return s.recv(2000).decode()
def again(what):
    s = bound()
    port, before = s.getsockname()[1], ask(s)
    if what:
        s.sendto(what, server)
    s.close()
    time.sleep(1)
    s = bound(port)
    s.settimeout(2)
    try:
        return ask(s) == before, "answered"
    except TimeoutError:
        return ask(s) == before, "lost"
some = bound()
for _ in range(8):
    some.sendto(b"x", closed)
    time.sleep(0.2)
ports = [len(set(ask(bound(), b"refused").split()))]
some = bound()
ports.append(len({ask(some) for _ in range(8)}))
kept = [again(None), again(b"later")]
said = lambda same, first: f"first datagram {first}, {'the same' if same else 'another'} outside port"
print(f"to a closed port, 8 datagrams from one socket: {ports[0]} outside ports")
print(f"to an open port, 8 datagrams from one socket: {ports[1]} outside port")
print(f"closed and bound again, nothing came in between: {said(*kept[0])}")
print(f"closed and bound again, a datagram came in between: {said(*kept[1])}")
sys.exit(ports != [8, 1] or kept != [(True, "answered"), (False, "lost")])
END
ip netns exec server python3 "$folder/server.py" "$folder/ready" &
until [ -e "$folder/ready" ]; do sleep 0.1; done
ip netns exec guest python3 "$folder/guest.py"
