"""For all tests: processes that they start can be ended by Ctrl-C."""

import signal

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # so a shell starts what runs in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)
