"""What `python -m firmware --help` says: a module of its own, so that a validator at work need not hold it in memory."""

from __future__ import annotations

USAGE = """usage: python -m firmware run   --state DIR --nfc PTY --qr PTY --driver PTY --server HOST:PORT [options]
       python -m firmware inspect --state DIR --nfc PTY --qr PTY --driver PTY --server HOST:PORT [options]
       python -m firmware enrol --state DIR --server HOST:PORT --code INVITATION [options]
       python -m firmware rotate --state DIR --server HOST:PORT [options]
       python -m firmware retire --state DIR --server HOST:PORT [options]
       python -m firmware journal --describe FILE [--state DIR|--key-file FILE] [--taps-a-day N] [--json]

The validator on a desk. UARTs are pseudo-terminals, flash is a file in DIR, display and lights are lines on standard output.

run serves riders; inspect says of a medium whether it has paid on this vehicle, and can charge nothing: its console takes the
same lines, and `sms CODE` for what a rider shows who paid by SMS. enrol makes a new validator known to the clearing service;
rotate changes the validator's own key; retire sends everything, says the last word, and erases flash and keys when the service
has all. The latter two serve nobody meanwhile.
journal tells what an image of a broken validator's flash holds, and how long such a flash lasts with N taps a day; without the
journal's key (from DIR, or 64 hex digits in a file, - for standard input) it checks only the CRCs. It writes nothing.

  --state DIR            folder of this validator: flash, identity, settings
  --nfc, --qr, --driver  pseudo-terminals of the reader chip (PN532), the code scanner, the driver's console
  --server HOST:PORT     the clearing service
  --code INVITATION      as printed by `jolaqy validator invite`

  --clock real|lockstep  lockstep: whoever holds standard input owns time (default: real)
  --upload-interval S    how long a tap may wait before it is sent (default: 180)
  --when-full POLICY     refuse riders or let them ride free while the journal is full (default: refuse)
  --neighbours LIST      the vehicle's other validators, HOST:PORT,HOST:PORT,… (UDP); with --listen
  --listen HOST:PORT     where this validator hears them
  --languages LIST       tell rider and driver in words, too: kk, ru, en (default: none)
  --code-screen 1        show a code that riders pay by, each minute another
  --rtc MS               what the battery-backed clock says, unix milliseconds
  --seed TEXT            derive random numbers from TEXT: simulations only
  --cut-after-bytes N    the power fails after N more bytes written to flash
  --report-heap 1        say on the channel how much heap is live

example: python -m firmware enrol --state ./bus-1 --server 127.0.0.1:8000 --code 0RK4C-…
"""
