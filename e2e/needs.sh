#!/bin/sh
# Says what is missing on this machine. With the argument cc a C compiler is
# needed too.
missing=
command -v go >/dev/null 2>&1 || missing="Go 1.26 or newer"
if [ "$1" = cc ] && ! command -v "${CC:-gcc}" >/dev/null 2>&1; then
	missing="${missing:+$missing, and }a C compiler (gcc), which Go's race detector needs"
fi
if [ -n "$missing" ]; then
	echo "missing: $missing. Install it and run this again." >&2
	exit 1
fi
