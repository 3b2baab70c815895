"""Makes the kernel forget the connections it tracks, and their NAT mappings with them, in this network namespace.

    forget.py [expired]

All of them, as `conntrack -F` does, without the package: one ctnetlink request to delete, with no tuple that would say what.
With `expired` only those whose time is over: the kernel drops these when it next looks at them, and a listing looks at all.
"""
import os, socket, struct, sys

NETLINK_NETFILTER = 12
GET, DELETE = 1 << 8 | 1, 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET and IPCTNL_MSG_CT_DELETE
REQUEST_ACK, REQUEST_DUMP = 1 | 4, 1 | 0x300
ERROR, DONE = 2, 3
LENGTH = 16 + 4  # nlmsghdr, nfgenmsg


def messages(netlink):
    while True:
        answer = netlink.recv(1 << 20)
        while answer:
            length, kind = struct.unpack_from("=IH", answer)
            yield kind, answer[16:length]
            answer = answer[(length + 3) & ~3:]


expired = sys.argv[1:] == ["expired"]
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
    kind, flags = (GET, REQUEST_DUMP) if expired else (DELETE, REQUEST_ACK)
    netlink.send(struct.pack("=IHHII4x", LENGTH, kind, flags, 1, 0))
    for answered, body in messages(netlink):
        error = struct.unpack_from("=i", body)[0] if answered == ERROR else 0
        if error:
            sys.exit(os.strerror(-error))
        if answered in (ERROR, DONE):
            break
