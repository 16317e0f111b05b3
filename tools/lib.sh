# shellcheck shell=bash disable=SC2034
# What the other scripts share: where things are, what is said on the terminal,
# which packages are needed.  To be sourced, by bash, with set -euo pipefail.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/iommufd
BUILD=$CACHE/build
JOBS=${JOBS:-$(nproc)}
mkdir -p "$BUILD"

# Tools that read the locale would sort and print differently.
export LC_ALL=C

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# Steps: a script that knows how many there will be sets STEPS and calls
# step; what runs inside a step prefixes its progress with $STEP.
STEP=${STEP:-}
step_number=0
step()
{
	step_number=$((step_number + 1))
	export STEP="[$step_number/${STEPS:-?}] "
	echo "$STEP$*" >&2
}

# Packages by what they are for.
PACKAGES_BUILD="gcc make flex bison bc libelf-dev libssl-dev cpio kmod rsync
	python3 perl xz-utils"
PACKAGES_BOOT="busybox-static qemu-system-x86"
PACKAGES_SELFTEST="libc6-dev libcap-dev"
PACKAGES_LINT="sparse gcc-i686-linux-gnu gcc-aarch64-linux-gnu"

# need PACKAGE...: has them installed, or ends with the line that would.
need()
{
	local package missing=()

	for package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		die "these packages are missing; as root: apt-get install --no-install-recommends ${missing[*]}"
	fi
	echo "${STEP}installing ${missing[*]}" >&2
	local log=$CACHE/apt-get.log
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y --no-install-recommends "${missing[@]}" </dev/null >"$log" 2>&1 ||
	{ apt-get update </dev/null >"$log" 2>&1 &&
	  apt-get install -y --no-install-recommends "${missing[@]}" </dev/null >>"$log" 2>&1; } ||
	{ tail -n 20 "$log" >&2; die "apt-get failed: $log"; }
}

# lock NAME: only one script at a time past this point, until it ends.
lock()
{
	exec {lock_fd}>"$CACHE/$1.lock"
	flock -n "$lock_fd" && return
	echo "${STEP}waiting for another run that uses $1" >&2
	flock "$lock_fd"
}
