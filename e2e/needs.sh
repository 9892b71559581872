#!/bin/sh
# Says what is missing on this machine. With the argument cc a C compiler is
# needed too, with venv a python3 that can make virtual environments, and with chromium
# that browser.
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
	chromium)
		command -v "${CHROMIUM:-chromium}" >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 ||
			missing="${missing:+$missing, and }Chromium (Debian's chromium, or the program that CHROMIUM names), for the live page"
		;;
	esac
done
if [ -n "$missing" ]; then
	echo "missing: $missing. Install it and run this again." >&2
	exit 1
fi
