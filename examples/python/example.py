"""Power a board on and off. Run it in a shell: jmp shell -- python examples/python/example.py"""

from jumpstarter.common.utils import env

with env() as client:
    client.power.on()
    print(client.serial.read_until("boot complete"))
    client.power.off()
