#!/bin/sh
# Says what is missing on this machine. With the argument cc a C compiler is
# needed too, and with venv a python3 that can make virtual environments.
missing=
command -v go >/dev/null 2>&1 || missing="Go 1.26 or newer"
for need in "$@"; do
	case $need in
	cc)
		command -v "${CC:-gcc}" >/dev/null 2>&1 ||
			missing="${missing:+$missing, and }a C compiler (gcc), which Go's race detector needs"
		;;
	venv)
		python3 -c 'import ensurepip, venv' >/dev/null 2>&1 ||
			missing="${missing:+$missing, and }python3 with venv (Debian's python3-venv), for Schemathesis and Envoy"
		;;
	esac
done
if [ -n "$missing" ]; then
	echo "missing: $missing. Install it and run this again." >&2
	exit 1
fi
