"""Makes the kernel forget every connection it tracks, and every NAT mapping with it, in this network namespace.

What `conntrack -F` does, without the package: one ctnetlink request to delete, with no tuple that would say what.
"""
import os, socket, struct, sys

NETLINK_NETFILTER = 12
DELETE = 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
REQUEST_ACK = 1 | 4
LENGTH = 16 + 4  # nlmsghdr, nfgenmsg

with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
    netlink.send(struct.pack("=IHHII4x", LENGTH, DELETE, REQUEST_ACK, 1, 0))
    error = struct.unpack_from("=i", netlink.recv(4096), 16)[0]
    if error:
        sys.exit(os.strerror(-error))
