# SPDX-License-Identifier: GPL-2.0-only
"""A device with 32-bit addresses can use hot-added memory above 4 GiB, through bounce buffers.

The device is an e1000. A program sends pages of the added memory."""

import socketserver
import threading

import pytest

from conftest import with_modules
from guest.machine import KERNEL

MIB = 64


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(1 << 20):
            self.request.sendall(data)


@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has no network")
def test_dma(start):
    # QEMU's user network forwards the guest's connections to the host.
    with socketserver.TCPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        boot = start("distro, 2 harts, 1 hot-plug port, a network device that addresses 32 bits", "dma", harts=2,
                     ports=1, memory="1G", append="memhp_default_state=online_movable",
                     initramfs=with_modules(KERNEL),
                     devices=["-netdev", "user,id=net", "-device", "e1000,netdev=net,romfile="])
        boot.guest.output("modprobe e1000 && ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up")
        boot.suite(f"sendpages 10.0.2.2 {server.server_address[1]} {MIB}", 300,
                   plug=lambda: boot.guest.plug(0, f"{4 * MIB}M", 0))
        server.shutdown()
