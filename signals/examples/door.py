#!/usr/bin/env python3
"""An adaptor in Python: a door whose lock obeys, unless it stands open. Opened and shut by lines on standard input."""
import selectors
import sys

import axle_signal

DOOR = "Vehicle.Cabin.Door.Row1.DriverSide."


class Door:
    def __init__(self, signals):
        self.is_open = False
        self.open = signals.claim(DOOR + "IsOpen", self.on_open)
        self.locked = signals.claim(DOOR + "IsLocked", self.on_lock)
        self.open.publish(False)
        self.locked.publish(False)

    def on_open(self, claim, request):
        return "open it by hand"  # a text is an error, and reaches whoever asked

    def on_lock(self, claim, request):
        if self.is_open and request.value == "true":
            return "the door stands open"
        claim.publish(request.value)
        return None  # done

    def moved(self, is_open):
        self.is_open = is_open
        self.open.publish(is_open)


def main():
    with axle_signal.Signals(name="door") as signals, selectors.DefaultSelector() as selector:
        door = Door(signals)
        signals.flush()
        selector.register(signals, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is signals:
                    signals.dispatch()
                    continue
                line = sys.stdin.readline()
                if not line:
                    return
                door.moved(line.strip() == "open")
            signals.flush()


if __name__ == "__main__":
    main()
