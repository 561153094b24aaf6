"""Test a board with pytest. Run it in a shell: jmp shell -- pytest examples/python/example_test.py"""

from jumpstarter_testing.pytest import JumpstarterTest


class TestBoard(JumpstarterTest):
    def test_board_draws_current(self, client):
        client.power.on()
        (reading,) = client.power.read()
        assert reading.current > 0.1

    def test_board_boots(self):
        self.client.power.off()
        self.client.power.on()
        assert self.client.serial.read_until("boot complete") is not None

    def test_board_that_is_off_draws_nothing(self, client):
        client.power.off()
        (reading,) = client.power.read()
        assert reading.current == 0
