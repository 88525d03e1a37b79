"""Runs one of AWS's emulators on loopback until standard input ends.

Node starts it and passes it a pipe: whatever becomes of the test and of Node, the pipe closes and the emulator ends with it.
"""

import os
import sys
import threading


def end_with_standard_input():
    while os.read(0, 4096):
        pass
    os._exit(0)


kind, port = sys.argv[1:3]
threading.Thread(target=end_with_standard_input, daemon=True).start()
if kind == "ministack":
    from ministack.app import main

    sys.argv = ["ministack"]
    main()
elif kind == "moto":
    from moto.server import main

    main(["-H", "127.0.0.1", "-p", port])
else:
    sys.exit(f"no such emulator: {kind}")
