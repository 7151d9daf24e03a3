# SPDX-License-Identifier: GPL-2.0-only
"""The kernel with KASAN, lockdep, kmemleak and more in it stays quiet at the same work."""


def test_debug(start):
    # KASAN's shadow of the module window alone takes 256 MiB.
    boot = start("4 harts, KASAN and lockdep", "debug", config="debug", memory="2G",
                 ports=2, append="kunit.enable=1")
    boot.suite("placement", 300)
    boot.suite("hotadd add 128", 300, plug=lambda: boot.guest.plug(0, "128M", 0))
    boot.suite("hotadd add 512", 300, plug=lambda: boot.guest.plug(1, "512M", 1))
    boot.suite("hotadd bad", 300)
    boot.end()
